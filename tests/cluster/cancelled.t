#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job that is cancelled while it is saved for a preemption ends: it is not
# taken back into the queue.  The store is slow since the kernel limits what
# its node may write.
. "$(dirname "$0")/lib.sh"

needs_slow
cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_GRACE=60 \
	CLUSTER_KILL_WAIT=30

script job <<'EOT'
trap 'echo "got TERM"; exit 5' TERM
progress 600 100 1 1 96 &
wait
EOT
job=$(submit --jobcr job)
wait_until 30 printed "$job" 'round 10 of' || bail "job $job does not run"
node=$(field "$job" NodeList)
slow "$node" 8000000
preempt "$node" 1 >/dev/null
pinned() {
	[ "$(cluster as alice "$node" jobcr status "$job" --json |
		sed -n 's/.*"phase": *"\([a-z]*\)".*/\1/p')" = pages ]
}
wait_until 40 pinned
ok $? "it is preempted, and being saved"
is_idle() {
	slurm sinfo -h -N -n "$node" -o %T | grep -q "^idle"
}
slurm scancel "$job"
has_state "$job" COMPLETING || has_state "$job" CANCELLED
ok $? "it is cancelled meanwhile"
slow "$node" 0
wait_until 60 has_ended "$job" && wait_until 60 is_idle
ok $? "its node is free again" "$(slurm scontrol show job "$job")"
is "$(field "$job" JobState) $(field "$job" Restarts)" "CANCELLED 0" \
	"it stays cancelled"
grep -q "$job: cancelled while it was saved" \
	"$cluster_dir/log/jobcrd-$node.log"
ok $? "the log says so"
is "$(grep -c 'got TERM' "$home/$job.out")" 1 \
	"its script got the signal that scancel sends"
done_testing
