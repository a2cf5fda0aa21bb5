#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What killed workers have left goes when jobcrd starts, and by its age where
# it is another node's; whoever is at work is left alone.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

echo 'SweepInterval = "1s"' >>"$JOBCR_CONF"
attempts() {
	ls "$tmp/store/local/$job" | grep '\.new$' | xargs
}

job=$(jobcr run --detach --output o.txt -- sh -c "$(count_to 100000)")
wait_for 10 has_lines o.txt 5
steps checkpoint "$job"
step_to pages
result $? "a checkpoint is under way"
start_daemon 9>&-
wait_for 10 grep -q ready jobcrd.log
is "$(attempts)" 0000000001.new "a jobcrd that starts leaves it alone"
kill -KILL "$(worker_of $asker)"
exec 9>&-
wait $asker
is "$(attempts)" 0000000001.new "its worker is killed, and leaves files"
stop_daemon
start_daemon
gone() {
	[ "$(attempts)" = "" ]
}
wait_for 10 gone
result $? "which are gone when jobcrd starts"
cp jobcrd.log log
grep -q "$job: 1 snapshot that a worker has not ended was removed" log
result $? "as its log tells"
jobcr show "$job" >log 2>&1
is "$?" 4 "there is no snapshot still"
jobcr checkpoint "$job" >log 2>&1
matches "$(cat log)" "$job: generation 2: *" "the next one has the next number"
is "$(ls "store/local/$job" | grep '^0' | xargs)" 0000000002 \
	"and leaves nothing else"

# Another node's, which nobody has written to for a long time.
for n in 3 4; do
	mkdir store/local/"$job"/000000000$n.new
	echo x >store/local/"$job"/000000000$n.new/there.meta
done
touch -d '3 days ago' store/local/"$job"/0000000003.new/there.meta \
	store/local/"$job"/0000000003.new
one_left() {
	[ "$(attempts)" = 0000000004.new ]
}
wait_for 20 one_left
result $? "what another node has left goes by its age: $(attempts)"
jobcr checkpoint "$job" >log 2>&1
is "$(attempts)" "" "and all of it with the next snapshot"
jobcr verify "$job" >log 2>&1
result $? "which is whole"

# Keep: so many, besides those that somebody wants.
generations() {
	ls "store/local/$job" | grep '^0' | sed 's/^0*//' | xargs
}
for keep in 1 3; do
	sed -i '/^Keep = /d' "$JOBCR_CONF"
	echo "Keep = $keep" >>"$JOBCR_CONF"
	stop_daemon
	start_daemon
	for i in 1 2 3; do
		jobcr checkpoint "$job" >log 2>&1 || cat log
	done
	is "$(generations | wc -w)" $keep "Keep = $keep: $(generations)"
done
newest=$(generations | awk '{ print $NF }')
jobcr keep "$job.$newest" >log 2>&1
for i in 1 2 3 4; do
	jobcr checkpoint "$job" >log 2>&1 || cat log
done
is "$(generations)" \
	"$newest $((newest + 2)) $((newest + 3)) $((newest + 4))" \
	"and one that is to be kept does not count"
stop_daemon
sed -i '/^Keep = /d' "$JOBCR_CONF"
echo "Keep = 0" >>"$JOBCR_CONF"
"$top_builddir/jobcrd" --test >log 2>&1
is "$?" 1 "Keep = 0 is refused"
grep -q Keep log
result $? "by name"
sed -i '/^Keep = /d' "$JOBCR_CONF"
jobcr kill "$job" KILL

# Nodes that share the store give the same names to their jobs.
sed "s:$tmp/run:$tmp/run-there:; s:\"here\":\"there\":" "$JOBCR_CONF" >there.conf
there() {
	JOBCR_CONF=$tmp/there.conf jobcr "$@"
}
stop_daemon
rm -rf "$tmp/store/local" "$tmp/run"
mine=$(jobcr run --detach -- sleep 1111)
other=$(there run --detach -- sleep 2222)
is "$mine" "$other" "two nodes, two jobs, one name"
there checkpoint "$other" >/dev/null
is "$?" 0 "the one that is first can be saved"
there checkpoint --kill "$other" >/dev/null
is "$?" 0 "again and again"
jobcr checkpoint --kill "$mine" 2>err
is "$?" 3 "the other one is refused"
matches "$(cat err)" "*is another job's*--pid*--dir*" "with what to do"
is "$(jobcr list | awk 'NR > 1 { print $3 }')" running "it goes on"
there restore --detach "$other" >/dev/null
there checkpoint --kill "$other" >/dev/null
is "$?" 0 "the first one goes on, and can be saved again"
jobcr kill "$mine" KILL
jobcr wait "$mine"
finish
