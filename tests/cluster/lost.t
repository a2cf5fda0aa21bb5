#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A node fails under jobs that were restored once: they go on from that
# snapshot, whether or not Slurm has truncated their output.  To a file of
# their own they have added more meanwhile.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_KILL_WAIT=5

# None ends before its node has failed.
script job <<'EOT'
export PROGRESS_END=go
echo "begin"
progress 180 100 2 2 4 | tee -a "$HOME/own.$SLURM_JOB_ID"
EOT
plain=$(cluster as alice ctl sbatch --parsable -n1 -w n3 -o %j.out job)
cut=$(submit -x n3 --jobcr job)
kept=$(submit -x n3 --jobcr --open-mode=append job)
for job in $cut $kept; do
	wait_until 30 printed "$job" 'round 5 of' ||
		bail "job $job does not run"
	preempt "$(field "$job" NodeList)" 2 >/dev/null
done
for job in $cut $kept; do
	wait_until 60 restarted "$job"
	ok $? "job $job is preempted and restored"
	wait_until 60 printed "$job" 'round 50 of' ||
		bail "job $job does not go on"
done

# All in one second, which is the unit of time of Slurm's credentials: a start
# in the second of a revocation would be the job's end.
second_begins() {
	[ "$(date +%1N)" = 0 ]
}
wait_until 2 second_begins
for node in n1 n2; do
	slurm scontrol update nodename=$node state=down reason=test
done
off_its_node() {
	has_state "$1" PENDING && [ "$(field "$1" NodeList)" = "" ]
}
for job in $cut $kept; do
	wait_until 30 off_its_node "$job"
	ok $? "job $job is requeued when its node fails"
done
touch "$home/go"
# ReturnToService may have done it already.
for node in n1 n2; do
	slurm scontrol update nodename=$node state=resume 2>/dev/null
done
for job in $cut $kept; do
	start_now "$job"
done
wait_until 90 has_ended "$plain"
for job in $cut $kept; do
	wait_until 90 has_ended "$job"
	is "$(field "$job" JobState)" COMPLETED "job $job goes on and completes"
	same_output "$job.out" "$plain.out" \
		"what it had printed after the snapshot is there once"
	same_output "own.$job" "own.$plain" "and in its own file"
	grep -q '^round' "$home/own.$job".jobcr-*
	ok $? "of which the rest is put aside" "$(ls "$home")"
done
done_testing
