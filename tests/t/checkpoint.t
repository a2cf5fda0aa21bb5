#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# checkpoint, restore, show and verify of local jobs, without a daemon.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

job=$(jobcr run --detach --output o.txt -- sh -c "$(count_on 200)")
wait_for 10 has_lines o.txt 20
jobcr checkpoint "$job" --leave-running >out
is "$?" 0 "a running job is checkpointed"
matches "$(cat out)" "$job: generation 1: *" "which says what it did"
wait_for 10 has_lines o.txt 60
jobcr checkpoint "$job" --kill --json >out
is "$?" 0 "a second time, and ended"
is "$(python3 -c 'import json; d = json.load(open("out"))
print(d["generation"], d["killed"])')" "2 True" "--json says so"
jobcr wait "$job" 2>err
is "$?" 75 "wait tells that it ended by a checkpoint"
matches "$(cat err)" "*jobcr restore $job*" "and how to go on"
cut=$(lines o.txt)

jobcr verify "$job" >/dev/null
is "$?" 0 "the snapshot is whole"
matches "$(jobcr show "$job")" "*Generation: 2*" "it is shown"
jobcr show --json "$job" | python3 -m json.tool >/dev/null
is "$?" 0 "also as JSON"
jobcr show "$job.1" >/dev/null
is "$?" 0 "an older generation is there"
jobcr show "$job.7" >/dev/null 2>&1
is "$?" 4 "one that is not: 4"

echo "not of the job" >>o.txt
jobcr restore "$job" --detach >out
is "$?" 0 "it is restored"
jobcr checkpoint "$job" --leave-running >out
is "$?" 0 "a restored job is checkpointed"
matches "$(cat out)" "$job: generation 3: *" "as the next generation"
jobcr restore "$job" --detach 2>err
is "$?" 1 "a job that runs is not restored a second time"
: >go
jobcr wait "$job"
is "$?" 6 "and ends as an undisturbed one"
whole o.txt "$(cat end)"
result $? "with its output whole, cut at the checkpoint (line $cut)"

# From an older generation, in the foreground.
jobcr restore "$job" --generation 2 >out
is "$?" 6 "jobcr restore in the foreground ends with the job's status"
whole o.txt "$(cat end)"
result $? "with the output as from there"

# A damaged snapshot starts nothing.
pages=$(echo store/local/"$job"/0000000003/*.pages.0)
printf '\377\000\377' | dd of="$pages" bs=1 seek=5000 conv=notrunc 2>/dev/null
jobcr verify "$job" >/dev/null 2>err
is "$?" 5 "a damaged snapshot is found: 5"
jobcr restore "$job" --detach >/dev/null 2>err
is "$?" 5 "and not restored: 5"
matches "$(jobcr list | grep "$job")" "*ended*" "nothing runs"

# Not even its output is cut.  One process: what is damaged is found late.
job=$(jobcr run --detach --output one.txt -- python3 -uc 'import itertools, time
for i in itertools.count():
    print(i)
    time.sleep(0.01)')
wait_for 10 has_lines one.txt 20
jobcr checkpoint "$job" --kill >out
echo "a last word" >>one.txt
cp one.txt before
pages=$(echo store/local/"$job"/0000000001/*.pages.0)
printf '\377\000\377' | dd of="$pages" bs=1 seek=5000 conv=notrunc 2>/dev/null
jobcr restore "$job" --detach >/dev/null 2>err
is "$?" 5 "a damaged snapshot of one process is not restored"
cmp before one.txt
result $? "and its output is as it was"

# A tree that jobcr did not start.
setsid python3 -c 'import os, sys
os.closerange(3, 1024)
os.execvp("sh", ["sh", "-c", sys.argv[1]])' "$(count_to 150)" \
	>tree.txt 2>&1 </dev/null &
pid=$!
wait_for 10 has_lines tree.txt 20
jobcr checkpoint --pid "$pid" --dir snap --kill >out
is "$?" 0 "any tree is checkpointed into a directory"
wait "$pid" 2>/dev/null
jobcr verify --dir snap >/dev/null
is "$?" 0 "that snapshot is whole"
jobcr checkpoint --pid $$ --dir snap >/dev/null 2>&1
is "$?" 1 "a directory with a snapshot is not taken again"
jobcr restore --dir snap
is "$?" 6 "it is restored from there"
whole tree.txt 150
result $? "and its output is whole"

# A job on a terminal, restored where there is none.
rm go
script -qc "$top_builddir/jobcr run -- sh -c 'echo up; while
	[ ! -e go ]; do sleep 0.02; done; echo end; exit 3'" /dev/null \
	>tty.txt 2>&1 </dev/null &
wait_for 10 grep -q up tty.txt
job=$(jobcr list | awk '$3 == "running" { print $1 }')
jobcr checkpoint "$job" --kill >out
is "$?" 0 "a job on a terminal is checkpointed"
wait
: >go
jobcr restore "$job" </dev/null >tty.txt
is "$?" 3 "and restored where there is none"
is "$(cat tty.txt)" end "its output goes where the new one's goes"

# Refused by name.
job=$(jobcr run --detach --output r.txt -- python3 -c 'import socket, time
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
print("up", flush=True)
time.sleep(1000)')
wait_for 10 grep -q up r.txt
jobcr checkpoint "$job" --kill >/dev/null 2>err
is "$?" 3 "what cannot be saved is refused: 3"
matches "$(cat err)" "*PID*FD*python3*socket*" "by pid, descriptor and name"
matches "$(jobcr list | grep "$job")" "*running*" "and the job goes on"
jobcr kill "$job" KILL
jobcr wait "$job"
jobcr show "$job" >/dev/null 2>&1
is "$?" 4 "no snapshot of it is left"
finish
