#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job whose snapshot takes longer to write than Slurm waits: it is killed in
# the middle of that, and goes on elsewhere from the snapshot all the same.
# The store is slow since the kernel limits what its node may write.
. "$(dirname "$0")/lib.sh"

needs_slow
cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_GRACE=1 \
	CLUSTER_KILL_WAIT=2

# It does not end before it is killed.
script job <<'EOT'
export PROGRESS_END=go
echo "begin"
progress 80 100 3 2 96
echo "progress ended with $?"
EOT
plain=$(submit -x n1,n2 job)
job=$(submit -x n3 --jobcr job)
wait_until 30 printed "$job" 'round 10 of' || bail "job $job does not run"
node=$(field "$job" NodeList)
log=$cluster_dir/log/jobcrd-$node.log
if [ "${TRACK:-}" = cgroup2 ]; then
	cluster exec "$node" sh -c \
		'cat /proc/$(pgrep -o -x progress)/cgroup' |
		grep -q '^0::/.*/step_batch/'
	ok $? "its processes are in the step's cgroup, of version 2"
fi
slow "$node" 8000000
preempt "$node" 1 >/dev/null
wait_until 30 cluster exec "$node" pgrep -x jobcr-worker
ok $? "a checkpoint is being written"
gone() {
	! cluster exec "$node" pgrep -x progress
}
wait_until 40 gone
ok $? "Slurm kills the job meanwhile"
touch "$home/go"
cluster exec "$node" pgrep -x jobcr-worker >/dev/null
ok $? "the snapshot is being written still"
restarted "$job"
is "$?" 1 "the job does not start before it is whole"
slow "$node" 0
wait_until 60 restarted "$job"
ok $? "then it starts again" "$(slurm scontrol show job "$job")"
wait_until 90 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "COMPLETED 0:0" \
	"it completes"
wait_until 60 has_ended "$plain"
same_output "$job.out" "$plain.out" "with the output of an undisturbed run"
grep -q 'killed and requeued the job while its snapshot' "$log"
ok $? "jobcrd says what happened" "$(cat "$log")"
done_testing
