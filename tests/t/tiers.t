#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# FastDir: a snapshot of a job that goes on lies there first, and jobcrd takes
# it to the store.
set -u
built=$(cd "${top_builddir:-.}" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

mkdir fast fast/local a
alice=65534
chown $alice a
# Directories there have a group that is not their users'.
chgrp 52002 fast/local
chmod 3777 fast/local
cat >>"$JOBCR_CONF" <<CONF
FastDir = "$tmp/fast"
Compression = "none"
CONF
jobcr_a() {
	(cd a && as $alice "$top_builddir/jobcr" "$@")
}
field() { # file key
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
d = d[0] if isinstance(d, list) else d
for key in sys.argv[2].split("."):
    d = d.get(key, {})
print("no" if d == {} else d)' "$1" "$2"
}
stored() { # generation
	test -e "$tmp/store/local/$job/$(printf %010u "$1")/manifest"
}
fast() { # generation
	test -e "$tmp/fast/local/$job/$(printf %010u "$1")/manifest"
}
# hold GENERATION: nobody can flush it, as if another process were at it.
hold() { # generation
	_dir=$tmp/fast/local/$job/$(printf %010u "$1")
	sh -c 'exec 8<"$1"; flock 8; exec sleep 1000' sh "$_dir" \
		>/dev/null 2>&1 &
	holder=$!
	while flock -n "$_dir" true; do
		sleep 0.01
	done
}
let_go() {
	kill $holder
	wait $holder 2>/dev/null
}

matches "$(jobcr check)" "*fast-directory*$tmp/fast*" \
	"it is looked at by jobcr check"
start_daemon
job=$(jobcr_a run --detach --output out -- \
	"$built/tests/cluster/progress" 99999 20 1 1 24)
wait_for 20 has_lines a/out 3
result $? "a job runs"
save_alone "$job" >log 2>&1
is "$?" 0 "it is saved"
matches "$(tail -n 1 steps)" "*fast directory*" "into the fast directory"
fast 1 && ! stored 1
is "$?" 0 "and is not in the store yet"
at=$(lines a/out)
wait_for 20 has_lines a/out $((at + 3))
result $? "the job goes on"
is "$(ls -A "$tmp/store/local/$job/0000000001.new")" fast \
	"its number is taken in the store"
jobcr_a verify "$job" >log 2>&1
result $? "its user can verify it"
jobcr show "$job.1" >log 2>&1
result $? "root can look at it"
told() {
	jobcr history "$job" | grep -q "$1"
}
wait_for 10 told 'generation 1 in the fast directory'
result $? "the history says where it is"
jobcr status "$job" >log
matches "$(cat log)" "*generation 1 is in the fast directory*" \
	"so does its status"
mv fast elsewhere
jobcr verify "$job" >log 2>&1
is "$?" 4 "on another node there is none"
matches "$(jobcr verify "$job.1" 2>&1)" \
	"*only in the fast directory of here*" "and it says where it is"
mv elsewhere fast

hold 1
start_daemon
wait_for 20 grep -q . run/jobs/"$job"/flush.rec
jobcr_a checkpoint "$job" --leave-running --json >out 2>err
is "$?$(field out fast)" 0no "one more goes to the store"
matches "$(field out not_fast)" "generation 1 is still on its way*" \
	"as one is on its way"
stored 2
result $? "there it is"
let_go
wait_for 20 stored 1
result $? "when it can be flushed it is"
cmp "$tmp/fast/local/$job/0000000001/manifest" \
	"$tmp/store/local/$job/0000000001/manifest" >log 2>&1
result $? "with the same manifest"
jobcr_a verify "$job.1" >log 2>&1
result $? "it is whole"
is "$(stat -c %u "$tmp/store/local/$job/0000000001")" $alice \
	"and its user's"
is "$(stat -c %g "$tmp/store/local/$job/0000000001/manifest")" \
	"$(id -g $alice)" "and of its user's group"
flushed() {
	jobcr_a history "$job" | grep -q "flushed.*$1"
}
wait_for 20 flushed "generation 1 is in the store"
result $? "the history tells"
jobcr_a checkpoint "$job" --leave-running --json >out 2>err
is "$?$(field out fast)$(field out generation)" 0True3 \
	"the next one is in the fast directory"
wait_for 20 stored 3
result $? "and then in the store"
retired() {
	! stored 1
}
wait_for 20 retired
result $? "where Keep holds"
wait_for 20 test ! -e "$tmp/fast/local/$job/0000000001"
result $? "older ones leave the fast directory"
no_flush() {
	[ ! -e "$tmp/run/jobs/$job/flush.rec" ]
}
wait_for 20 no_flush
result $? "nothing is on its way"

# A flush is one of MaxWriters.
stop_daemon
echo 'MaxWriters = 1' >>"$JOBCR_CONF"
start_daemon
jobcr_a checkpoint "$job" --leave-running --json >out 2>err
is "$?$(field out fast)$(field out generation)" 0True4 \
	"one more with MaxWriters"
wait_for 20 stored 4
result $? "it is flushed"
is "$(ls "$tmp/store/cluster/.writers" | wc -l)" 1 "in the only place"

# The nearer copy, and a damaged one of those.
jobcr_a kill "$job" KILL
jobcr_a wait "$job"
jobcr_a restore "$job" --detach --json >out 2>err
is "$?$(field out generation)$(field out fast)" 04True \
	"it is restored from the fast directory"
at=$(lines a/out)
wait_for 20 has_lines a/out $((at + 3))
result $? "and goes on"
jobcr_a kill "$job" KILL
jobcr_a wait "$job"
pages=$(ls -S "$tmp/fast/local/$job/0000000004"/*pages* | head -n 1)
printf XXXX | dd of="$pages" bs=1 seek=8192 conv=notrunc 2>log
jobcr_a restore "$job" --detach --json >out 2>err
is "$?$(field out generation)$(field out fast)" 04no \
	"a damaged copy there is passed over"
wait_for 20 has_lines a/out $((at + 3))

jobcr_a checkpoint "$job" --kill --json >out 2>err
is "$?$(field out fast)" 0no "one that ends the job goes to the store"
stored "$(field out generation)"
result $? "where it is at once"

# One that is nowhere else.
jobcr_a restore "$job" --detach >log 2>&1
wait_for 20 has_lines a/out $((at + 3))
save_alone "$job" >log 2>&1
result $? "one more is saved"
jobcr kill "$job" KILL
jobcr wait "$job"
jobcr restore "$job" --detach --json >out 2>err
is "$?$(field out generation)$(field out fast)" 06True \
	"it is restored before it is in the store"
start_daemon
wait_for 20 stored 6
result $? "it gets there while the job runs"
jobcr_a verify "$job.6" >log 2>&1
result $? "and is whole"

# What is damaged before it gets there never does.
save_alone "$job" >log 2>&1
pages=$(ls -S "$tmp/fast/local/$job/0000000007"/*pages* | head -n 1)
printf XXXX | dd of="$pages" bs=1 seek=8192 conv=notrunc 2>log
start_daemon
damaged() {
	jobcr_a history "$job" | grep -q "failed.*generation 7.*damaged"
}
wait_for 20 damaged
result $? "one that is damaged does not get there, and that is said"
! stored 7 && ! fast 7
result $? "nobody is offered it"
jobcr_a checkpoint "$job" --json >out 2>err
is "$?$(field out fast)" 0True "the next one is as any other"

# A damaged one is deleted while it is copied, and its number is given again.
wait_for 20 stored 7
save_alone "$job" >log 2>&1
fast 8
result $? "one is saved that is to be deleted"
pages=$(ls -S "$tmp/fast/local/$job/0000000008"/*pages* | head -n 1)
printf XXXX | dd of="$pages" bs=1 seek=8192 conv=notrunc 2>log
# Slow enough to be caught at it.
echo 'MaxBandwidth = "8M"' >>"$JOBCR_CONF"
start_daemon
caught() {
	ls "$tmp/store/local/$job/0000000008.new"/*pages* || return 1
	copier=$(workers_below "$daemon")
	kill -STOP "$copier"
}
wait_for 20 caught
result $? "it is being copied"
sed -i '$d' "$JOBCR_CONF"
jobcr_a delete "$job" --generation 8 --force >log 2>&1
result $? "one is deleted while it is copied"
jobcr_a checkpoint "$job" --kill --json >out 2>err
is "$?$(field out generation)" 08 "another one has its number"
stored 8
result $? "and is in the store"
kill -CONT "$copier"
wait_for 20 test ! -e "$tmp/fast/local/$job/0000000008"
result $? "the copying ends, as it is damaged"
stored 8
result $? "that takes nothing of the other one"

# A worker is killed in the fast directory.
jobcr_a restore "$job" --detach >log 2>&1
at=$(lines a/out)
wait_for 20 has_lines a/out $((at + 3))
steps checkpoint "$job" --leave-running
step_to pages
attempt=local/$job/0000000009.new
ls "$tmp/fast/$attempt"/*pages* >log 2>&1 && [ -e "$tmp/store/$attempt/fast" ]
result $? "one is written into the fast directory"
kill -KILL "$(workers_below "$daemon")"
exec 9>&-
wait "$asker"
stop_daemon
start_daemon
wait_for 20 test ! -e "$tmp/fast/$attempt"
result $? "what is left there by a worker that was killed goes"
wait_for 20 test ! -e "$tmp/store/$attempt"
result $? "and with it what has its number in the store"
finish
