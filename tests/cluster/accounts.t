#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What sacct has of jobs that were preempted, requeued and restored: one job
# id, each run with its node and its time, and the end that the job had.
. "$(dirname "$0")/lib.sh"

needs_accounts
cluster_begin CLUSTER_ACCOUNTS=yes CLUSTER_NODES=2 CLUSTER_KILL_WAIT=5
qos low preemptmode=requeue gracetime=30 && qos high preempt=low ||
	bail "no QOS"

script job <<'EOT'
until [ -e "go.$SLURM_JOB_ID" ]; do
	sleep 0.1
done
exit $1
EOT
begin() { # STATUS: a job on a part of node 1
	cluster as alice ctl sbatch --parsable -o %j.out --qos low \
		--jobcr job "$1"
}
# Nowhere else to begin.
slurm scontrol update nodename=n2 state=drain reason=test
good=$(begin 0)
bad=$(begin 7)
cancelled=$(begin 0)
limited=$(begin 0)
for job in $good $bad $cancelled $limited; do
	wait_until 30 has_state "$job" RUNNING || bail "job $job does not run"
done
# Slurm counts whole seconds.
has_run() {
	[ "$(field "$1" RunTime)" != 00:00:00 ]
}
wait_until 30 has_run "$limited" || bail "job $limited does not run"
slurm scontrol update nodename=n2 state=resume
vip=$(cluster as bob ctl sbatch --parsable --qos high -w n1 -N 1 -n 4 \
	-o /dev/null --wrap "sleep 1000")
for job in $good $bad $cancelled $limited; do
	wait_until 60 restarted "$job" || bail "job $job is not started again"
done

# Root may move the end; Slurm looks at it every half minute.
slurm scontrol update jobid="$limited" endtime=now+1 ||
	bail "no time limit"
touch "$home/go.$good" "$home/go.$bad"
slurm scancel "$cancelled"
for job in $good $bad $cancelled $limited; do
	wait_until 70 has_ended "$job" || bail "job $job does not end"
done

# state JOBID [-D]: a line for each run; what was sent to slurmdbd takes a
# moment to be there.
state() {
	slurm sacct -n -P -X -j "$@" -o jobid,state,exitcode,nodelist |
		sed 's/ by [0-9]*//'
}
account() { # JOBID STATE EXIT-CODE TEXT
	has() {
		[ "$(state "$1")" = "$1|$2|$3|n2" ]
	}
	wait_until 20 has "$@"
	ok $? "$4" "$(state "$1")"
	is "$(state "$1" -D)" "$1|REQUEUED|0:0|n1
$1|$2|$3|n2" "it has two runs under one job id"
}
account "$good" COMPLETED 0:0 "a job that ends well after a restore"
account "$bad" FAILED 7:0 "a job that fails has its own exit code"
account "$cancelled" CANCELLED 0:0 "a job that is cancelled"
account "$limited" TIMEOUT 0:0 "a job that comes to its time limit"
# Start and end of both, in seconds since 1970.
times=$(slurm env SLURM_TIME_FORMAT=%s sacct -n -P -X -D -j "$limited" \
	-o start,end,elapsedraw | tr '\n' '|')
echo "$times" | {
	IFS='|' read -r start1 end1 elapsed1 start2 end2 elapsed2 _
	[ "$((end1 - start1)) $((end2 - start2))" = "$elapsed1 $elapsed2" ] &&
		[ "$elapsed1" -gt 0 ] && [ "$start2" -ge "$end1" ]
}
ok $? "the time of each run is counted once" "$times"
slurm scancel "$vip"
done_testing
