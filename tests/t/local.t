#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Local jobs of root, without a daemon.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

out=$(jobcr run -- sh -c 'echo out; exit 4')
is "$?" 4 "an attached job's exit status is that of jobcr run"
is "$out" out "its output is on stdout"
is "$(echo in | jobcr run -- cat)" in "its input is stdin"
is "$(jobcr run -- sh -c 'echo err >&2' 2>&1 >/dev/null)" err \
	"its errors are on stderr"
(cd /usr && jobcr run -- pwd) >here
is "$(cat here)" /usr "it runs where jobcr run was called"
is "$(umask 027 && jobcr run -- sh -c umask)" 0027 "with its umask"
is "$(A=b jobcr run -- sh -c 'echo $A')" b "with its environment"
is "$(ulimit -n 100 && jobcr run -- sh -c 'ulimit -n')" 100 "with its limits"
pid=$(jobcr run -- sh -c 'echo $$')
[ "$pid" -gt 1 ]
result $? "it is not pid 1 of its namespace"
[ "$(jobcr run -- sh -c 'echo $$')" != "$pid" ]
result $? "nor what another was"
is "$(jobcr run -- sh -c 'set -- /proc/[0-9]*; echo $#')" 2 \
	"it sees the processes of the job and no others"

jobcr run -- sh -c 'kill -KILL $$' 2>/dev/null
is "$?" 137 "a job killed by a signal ends jobcr run by that signal"
jobcr run -- /nonexistent 2>err
is "$?" 127 "a command that is not there: 127"
matches "$(cat err)" '*/nonexistent*No such file*' "and it is named"
jobcr run -- /etc/passwd 2>/dev/null
is "$?" 126 "a command that cannot be executed: 126"
jobcr frobnicate 2>/dev/null
is "$?" 2 "an unknown command is a usage error: 2"
jobcr wait local-999 2>/dev/null
is "$?" 4 "an unknown job: 4"
jobcr restore local-1 2>/dev/null
is "$?" 4 "no snapshot: 4"

# Signals pass through.  The shell ignores INT in the background: use TERM.
"$top_builddir/jobcr" run -- sh -c 'trap "echo term; exit 9" TERM
	echo up; while :; do sleep 0.02; done' >trap.out &
pid=$!
wait_for 10 grep -q up trap.out
kill -TERM $pid
wait $pid
is "$?" 9 "a signal to jobcr run reaches the job"
is "$(tail -n 1 trap.out)" term "once"

# What daemonised is not left behind.
long=4711.$$
jobcr run -- sh -c "setsid sleep $long & sleep 0.1; exit 5"
is "$?" 5 "the job's status is its root's"
is "$(pgrep -fx "sleep $long")" "" "no process outlives the job"

# Detached.
job=$(jobcr run --detach --output o.txt -- sh -c "$(count_to 100)")
matches "$job" 'local-[0-9]*' "a detached job prints its id alone"
matches "$(jobcr list)" "*$job*running*" "it is listed"
jobcr wait "$job"
is "$?" 6 "jobcr wait ends with the job's status"
whole o.txt 100
result $? "its output is in the file"
jobcr wait "$job"
is "$?" 6 "also when it has ended long ago"

job=$(jobcr run --detach --output k.txt -- sh -c 'trap "exit 8" USR1
	echo up; while :; do sleep 0.02; done')
wait_for 10 grep -q up k.txt
jobcr kill "$job" USR1
jobcr wait "$job"
is "$?" 8 "jobcr kill sends a signal by name"
job=$(jobcr run --detach --output k.txt -- sleep 1000)
jobcr kill "$job"
jobcr wait "$job"
is "$?" 143 "TERM by default; wait says 128 + 15"

# What is known of jobs that have ended does not become more for ever.
jobcr run -- true
newest=$(ls -t run/jobs | head -n 1)
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	for k in 0 1 2 3 4 5 6 7 8 9; do
		cp -r run/jobs/local-1 run/jobs/local-0$i$k
	done
done
job=$(jobcr run --detach -- sleep 1000)
is "$(jobcr list | grep -c ended)" 100 "100 jobs that have ended are known"
jobcr wait "$newest"
is "$?" 0 "the last ones"
jobcr kill "$job" KILL
jobcr wait "$job"
rm -rf run/jobs/local-0*

# Slurm suspends supervisors, too: nobody waits for one for ever.
job=$(jobcr run --detach -- sleep 1000)
super=$(jobcr list --json | python3 -c 'import json, sys
print([j["supervisor_pid"] for j in json.load(sys.stdin)
	if j["job_id"] == "'"$job"'"][0])')
kill -STOP "$super"
jobcr checkpoint "$job" >/dev/null 2>err
is "$?" 8 "a supervisor that is stopped: timed out, 8"
matches "$(cat err)" "*suspended*" "which says why"
jobcr list >/dev/null
is "$?" 0 "and hinders no list"
kill -CONT "$super"
jobcr kill "$job" KILL
jobcr wait "$job"
is "$?" 137 "it goes on afterwards"

# Would a checkpoint be refused?  Nothing is touched to say so.
job=$(jobcr run --detach -- sleep 1000)
matches "$(jobcr check "$job")" "$job: nothing stands in the way*" \
	"nothing stands in the way of a checkpoint"
[ -z "$(find "$tmp/store" -path "*/$job/*" -name '*.meta*')" ]
result $? "and none was begun"
jobcr kill "$job" KILL
jobcr wait "$job"
job=$(jobcr run --detach --output netlink.txt -- python3 -c 'import socket, time
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
print("up", flush=True)
time.sleep(1000)')
wait_for 10 grep -q up netlink.txt
jobcr check "$job" 2>err
is "$?" 3 "a job with a netlink socket: refused, 3"
matches "$(cat err)" "*netlink socket*" "which names the socket"
jobcr kill "$job" KILL
jobcr wait "$job"
is "$?" 137 "it went on"

# Clocks that wake the machine are root's, and so is what restores them.
job=$(jobcr run --detach --output alarm.txt -- python3 -c '
import ctypes, os, time
libc = ctypes.CDLL(None)
fd = libc.timerfd_create(9, 0) # CLOCK_BOOTTIME_ALARM
spec = (ctypes.c_int64 * 4)(0, 0, 1, 0)
libc.timerfd_settime(fd, 0, spec, None)
print("up", fd, flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
print(len(os.read(fd, 8)), flush=True)')
wait_for 10 grep -q up alarm.txt
jobcr checkpoint "$job" --kill >out 2>&1
is "$?" 0 "a job with an alarm clock is saved"
jobcr restore "$job" --detach >out 2>&1
is "$?" 0 "and restored"
: >go
jobcr wait "$job"
is "$(tail -n 1 alarm.txt)" 8 "it goes off"
rm -f go

# A supervisor that is killed takes its job along.
job=$(jobcr run --detach -- sh -c "sleep $long & sleep $long")
wait_for 10 pgrep -fx "sleep $long"
super=$(jobcr list --json | python3 -c 'import json, sys
print([j["supervisor_pid"] for j in json.load(sys.stdin)
	if j["job_id"] == "'"$job"'"][0])')
kill -KILL "$super"
wait_for 10 sh -c "! pgrep -fx 'sleep $long'"
result $? "a killed supervisor leaves no process of its job"
jobcr wait "$job" 2>/dev/null
is "$?" 4 "and its job runs no more"
finish
