#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What somebody has put into snapshots goes with them, and no more than that;
# what cannot be removed is said, and keeps nothing else.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
mkdir -m 0777 a
mkdir outside
echo stays >outside/file
chown -R $alice outside
echo 'Keep = 1' >>"$JOBCR_CONF"
start_daemon
alice() {
	(cd a && as $alice "$top_builddir/jobcr" "$@")
}
snapshot() {
	alice checkpoint "$job" --leave-running >log 2>&1
}
generations() {
	(cd "$dir" && ls -d 0* | sed 's/^0*//' | xargs)
}
# clutter GENERATION: directories, with links that lead out.
clutter() {
	as $alice sh -c "cd '$dir/000000000$1' && mkdir -p sub/sub/sub empty &&
		echo x >sub/file && ln -s '$tmp/outside' sub/sub/link &&
		ln -s '$tmp/outside/file' sub/sub/file && mkfifo sub/fifo &&
		ln -s '$tmp/outside' away"
}
job=$(alice run --detach --output o.txt -- sh -c "$(count_to 100000)")
dir=store/local/$job
wait_for 10 has_lines a/o.txt 3

snapshot && clutter 1 && snapshot
result $? "a snapshot is made of a job that has put directories in the first"
is "$(generations)" 2 "which goes"
is "$(ls outside) $(cat outside/file)" "file stays" "and nothing else"
as $alice mkdir "$dir/0000000001.new" "$dir/0000000001.new/sub" && snapshot
is "$(generations)" 3 "so does what is left of an attempt"

clutter 3 && as $alice mkdir "$dir/0000000003/shut" &&
	as $alice touch "$dir/0000000003/shut/x" &&
	as $alice chmod 0 "$dir/0000000003/shut"
snapshot
result $? "one that cannot be removed hinders no other"
is "$(generations)" "3.new 4" "and stays"
wait_for 5 grep -q "an older snapshot stays: .*shut" jobcrd.log
result $? "the log says so"
is "$(ls "$dir/0000000003.new")" shut "with no more than that"
snapshot
is "$(generations)" "3.new 5" "others go"
alice delete "$job" --force >log 2>&1
is "$? $(generations)" "6 3.new" "all others are deleted"
grep -q "shut" log
result $? "which one is not, is said: $(cat log)"
noted "$dir/history" "1 snapshot deleted"
result $? "and what went is in the history"
as $alice chmod 0700 "$dir/0000000003.new/shut"
snapshot && is "$(generations)" 4 "when it can be removed, it is"

deep=$dir/0000000004/d
i=0
while [ $i -lt 40 ]; do
	as $alice mkdir "$deep"
	deep=$deep/d
	i=$((i + 1))
done
snapshot
is "$(generations)" "4.new 5" "there is an end to how deep directories go"
grep -q "too deep" jobcrd.log
result $? "which is said"
as $alice rm -r "$dir/0000000004.new"

as $alice mkdir -p "$dir/0000000005/sub/mounted"
if mount --bind outside "$dir/0000000005/sub/mounted" 2>log; then
	snapshot
	is "$(cat outside/file) $(generations)" "stays 5.new 6" \
		"nothing goes of what is mounted there"
	umount "$dir"/0000000005*/sub/mounted
	snapshot
	is "$(generations)" 7 "and then all does"
fi

snapshot
alice keep "$job.8" >log 2>&1 && snapshot
is "$(generations)" "8 9" "one that is kept"
alice delete "$job.0" >log 2>&1
is "$? $(generations)" "2 8 9" "none is deleted by a number that none has"
alice delete "$job.8" --generation 9 --force >log 2>&1
is "$? $(generations)" "2 8 9" "nor by two"
alice delete "$job.8" --force >log 2>&1
is "$? $(generations)" "0 9" "one is deleted by its number"
alice delete "$job.9" >log 2>&1
is "$? $(generations)" "1 9" "but not the newest"

# Into a directory: the worker is killed in the middle of it.
stop_daemon
pid=$(jobcr list --json | python3 -c 'import json, sys
print([j["root_pid"] for j in json.load(sys.stdin)][0])')
into() {
	jobcr checkpoint --pid "$pid" --dir "$tmp/a/d" --leave-running "$@" \
		>log 2>&1
}
killed() {
	steps checkpoint --pid "$pid" --dir "$tmp/a/d" --leave-running
	step_to pages
	kill -KILL "$(worker_of "$asker")"
	exec 9>&-
	wait $asker
	[ -e a/d/here.meta ]
}
killed
result $? "a worker is killed in the middle of a checkpoint to a directory"
into
result $? "which is no obstacle for the next one: $(cat log)"
jobcr verify --dir a/d >log 2>&1
result $? "which is whole"
into
is "$?" 1 "the one after that must go elsewhere"
grep -q "there is a snapshot" log && jobcr verify --dir a/d >log 2>&1
result $? "as there is a snapshot now"
rm -r a/d

killed
: >a/d/notes
: >a/d/here.metadata
: >a/d/here.pages.x
: >a/d/there.meta
into
result $? "other files are no obstacle: $(cat log)"
is "$(ls a/d | xargs)" \
	"here.meta here.metadata here.pages.0 here.pages.x manifest notes there.meta" \
	"and stay"
rm -r a/d
as $alice mkdir a/d
ln -s "$tmp/outside/file" a/d/here.meta
into
is "$?" 1 "what is no file of ours stays, and is in the way"
grep -q "here.meta.*remove it" log
result $? "which is said: $(cat log)"
[ -L a/d/here.meta ] && rm -r a/d

steps checkpoint --pid "$pid" --dir "$tmp/a/d" --leave-running
step_to pages
into
is "$?" 1 "two do not write into one directory: $(cat log)"
exec 9>&-
wait $asker
result $? "the first goes on"
jobcr verify --dir a/d >log 2>&1
result $? "and is whole"
rm -r a/d
if command -v strace >/dev/null; then
	strace -f -y -o trace -e trace=fsync "$top_builddir/jobcr" \
		checkpoint --pid "$pid" --dir "$tmp/a/d" --leave-running \
		>log 2>&1
	result $? "into a new directory: $(cat log)"
	grep -q "fsync([0-9]*<$tmp/a>)" trace
	result $? "the directory above is durable, too"
fi
finish
