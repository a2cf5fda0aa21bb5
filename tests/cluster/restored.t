#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What is restored stays a job: it is preempted again, dies by signals, is
# cancelled, and Slurm records it as the original.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_KILL_WAIT=5

# move JOBID N: preempt it, N times in all so far.
move() {
	preempt "$(field "$1" NodeList)" 2 >/dev/null
	wait_until 60 restarted "$1" "$2"
	ok $? "job $1 is preempted and started again ($2)"
}

script twice <<'EOT'
progress 160 100 2 2 4
EOT
plain=$(submit twice)
job=$(submit --jobcr twice)
wait_until 20 printed "$job" 'round 5 of' || bail "job $job does not run"
move "$job" 1
wait_until 20 printed "$job" 'round 30 of'
ok $? "it goes on"
move "$job" 2
wait_until 90 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "COMPLETED 0:0" \
	"it ends well after two preemptions"
wait_until 90 has_ended "$plain"
cmp "$home/$plain.out" "$home/$job.out" >/dev/null
ok $? "with the output of an undisturbed run" \
	"$(diff "$home/$plain.out" "$home/$job.out")"

script dies <<'EOT'
echo "begin"
progress 120 100 2 2 4 -11
echo "progress ended with $?"
exec progress 1 1 1 1 1 -10
EOT
job=$(submit --jobcr dies)
wait_until 20 printed "$job" 'round 5 of' || bail "job $job does not run"
move "$job" 1
wait_until 90 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "FAILED 0:10" \
	"the signal that ends a restored job is recorded"
grep -q 'progress ended with 139' "$home/$job.out"
ok $? "a restored shell sees how a restored child died" \
	"$(cat "$home/$job.out")"

script stays <<'EOT'
(setsid sleep 301) &
progress 600 100 2 2 4
EOT
job=$(submit --jobcr stays)
wait_until 20 printed "$job" 'round 5 of' || bail "job $job does not run"
move "$job" 1
node=$(field "$job" NodeList)
# Slurm calls it running when it has decided where.
wait_until 60 grep -q "$job: restore: generation" \
	"$cluster_dir/log/jobcrd-$node.log"
ok $? "it goes on"
slurm scancel "$job"
wait_until 30 has_ended "$job"
is "$(field "$job" JobState)" CANCELLED "scancel ends a restored job"
nobody_left() {
	! cluster exec "$1" ps -eo user | grep -q '^alice'
}
wait_until 20 nobody_left "$node"
ok $? "nothing of it is left on its node" "$(cluster exec "$node" ps -ef)"
for node in n1 n2 n3; do
	[ -z "$(cluster exec $node ls -A /run/jobcr/jobs)" ]
	ok $? "no run directory is left on $node" \
		"$(cluster exec $node ls -A /run/jobcr/jobs)"
done
done_testing
