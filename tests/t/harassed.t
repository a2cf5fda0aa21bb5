#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A pipeline of processes goes on undisturbed while checkpoints of it are
# made all the time, most of which are killed, one right behind the other.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

cat >"$tmp/pipeline" <<'PIPELINE'
#!/bin/sh
i=0
while [ $i -lt 4000 ]; do
	i=$((i + 1))
	echo "$i $((i * i % 977))"
	[ $((i % 100)) != 0 ] || sleep 0.1
done | sort -k2n | awk '{ s = (s * 31 + $1 + $2) % 1000003; print s }' |
	tee /dev/null | md5sum
PIPELINE
chmod 755 "$tmp/pipeline"
want=$("$tmp/pipeline")

job=$(jobcr run --detach --output "$tmp/out" -- "$tmp/pipeline")
tries=0
good=0
killed=0
while [ $tries -lt 30 ] && [ ! -s "$tmp/out" ]; do
	tries=$((tries + 1))
	"$top_builddir/jobcr" checkpoint "$job" --leave-running \
		>/dev/null 2>"$tmp/err" &
	pid=$!
	if [ $((tries % 4)) != 0 ]; then
		wait_for 1 grep -q . /proc/$pid/task/$pid/children
		sleep 0.0$((tries * 7 % 10))
		worker=$(children $pid)
		[ -n "$worker" ] && kill -KILL $worker 2>/dev/null &&
			killed=$((killed + 1))
	fi
	wait $pid && good=$((good + 1))
done
echo "# $tries checkpoints, $good good, $killed killed"
[ $good -gt 0 ] && [ $killed -gt 0 ]
result $? "checkpoints succeed between killed ones"
jobcr wait "$job"
is "$?" 0 "the job ends well"
is "$(cat "$tmp/out")" "$want" "with the result of an undisturbed run"

# One that dies may leave a child, which holds all that it had open.
mkdir "$tmp/libexec"
ln -s "$JOBCR_LIBEXEC"/* "$tmp/libexec"
rm "$tmp/libexec/jobcr-worker"
cat >"$tmp/libexec/jobcr-worker" <<WORKER
#!/bin/sh
sleep 600 &
echo \$! >"$tmp/left"
kill -KILL \$\$
WORKER
chmod 755 "$tmp/libexec/jobcr-worker"
job=$(jobcr run --detach --output "$tmp/sleeps" -- sleep 600)
JOBCR_LIBEXEC=$tmp/libexec jobcr checkpoint "$job" --leave-running 2>"$tmp/log"
is "$?" 1 "a checkpoint whose worker was killed ends, whoever outlives it"
grep -q "worker was killed by signal 9" "$tmp/log"
result $? "and says so"
kill "$(cat "$tmp/left")"
jobcr kill "$job" KILL
finish
