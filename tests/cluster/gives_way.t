#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A snapshot of a job that is to go on would take longer than the job has when
# it is preempted: it gives way to the one that saves the job.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_GRACE=15 CLUSTER_KILL_WAIT=5 \
	CLUSTER_CONF='MaxBandwidth = "1M"
Compression = none'

# It does not end before it has been preempted.
script job <<'EOT'
export PROGRESS_END=go
progress 60 100 1 2 48
EOT
undisturbed=$(submit job)
job=$(submit --jobcr job)
wait_until 30 printed "$job" 'round 5 of' || bail "job $job does not run"
first=$(field "$job" NodeList)
cluster as alice "$first" jobcr checkpoint "$job" >"$home/said" 2>&1 &
asked=$!
is_under_way() {
	[ -d "$cluster_dir/shared/store/private/$job/0000000001.new" ]
}
wait_until 20 is_under_way
ok $? "a snapshot that takes a minute has begun"
preempt "$first" 3 >/dev/null
wait "$asked"
is $? 1 "its user is told that it was given up"
grep -q 'gave way' "$home/said"
ok $? "and why" "$(cat "$home/said")"
wait_until 60 restarted "$job"
ok $? "the job is requeued and started again"
touch "$home/go"
wait_until 90 has_ended "$job"
is "$(field "$job" JobState)" COMPLETED "it ends well"
wait_until 90 has_ended "$undisturbed"
same_output "$job.out" "$undisturbed.out" \
	"with the output of an undisturbed run"
grep -q 'for preempt: generation' "$cluster_dir/log/jobcrd-$first.log"
ok $? "from the snapshot of the preemption"
done_testing
