#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job that cannot be saved is preempted: it is not touched, the log names
# why, and Slurm's grace time is its own.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_KILL_WAIT=5

script job <<'EOT'
trap 'echo "signal came"' TERM USR1 CONT HUP
python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
for i in range(600):
    print("beat", i, flush=True)
    time.sleep(0.1)
'
EOT
job=$(submit --jobcr job)
wait_until 30 printed "$job" 'beat 5$' || bail "job $job does not run"
node=$(field "$job" NodeList)
preempt "$node" 3 >/dev/null
log=$cluster_dir/log/jobcrd-$node.log
wait_until 20 grep -q 'no checkpoint, the job goes on' "$log"
ok $? "the checkpoint of a job with a netlink socket is refused"
grep -q "$job: pid [0-9]* (python3) fd 3: .*socket" "$log"
ok $? "the log names process, descriptor and what it is" "$(cat "$log")"
beat=$(sed -n 's/^beat //p' "$home/$job.out" | tail -n 1)
wait_until 10 printed "$job" "beat $((beat + 10))\$"
ok $? "the job goes on through its grace time"
has_state "$job" RUNNING
ok $? "for Slurm, too"
! grep -q signal "$home/$job.out"
ok $? "no signal was passed on to it"
# There may be another attempt just now.
nothing_of_it() {
	[ -z "$(find "$cluster_dir/shared/store" -path "*/$job/[0-9]*")" ]
}
wait_until 20 nothing_of_it
ok $? "of the attempt the store has no snapshot"
slurm scancel "$job"
wait_until 30 has_ended "$job"
is "$(field "$job" JobState)" CANCELLED "and it can be cancelled"
done_testing
