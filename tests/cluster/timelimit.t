#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job that is longer than its time limit crosses it by itself.  LIMITS=5: so
# many times longer than the limit of one minute (tests/soak/timelimit).
. "$(dirname "$0")/lib.sh"

limits=${LIMITS:-0}
# The short form crosses once, after half of its minute.
lead=30 rounds=400
[ "$limits" -eq 0 ] || lead=10 rounds=$((limits * 600))
cluster_begin CLUSTER_NODES=2 CLUSTER_TRACK="${TRACK:-linuxproc}" \
	CLUSTER_SLURM='PartitionName=short MaxTime=1 DefaultTime=1 GraceTime=20
OverTimeLimit=0'

script job <<EOT
echo "begin"
progress $rounds 100 2 2 4
echo "progress ended with \$?"
exit 7
EOT
plain=$(cluster as alice ctl sbatch --parsable -n1 -w n1 -o %j.out job)
job=$(cluster as alice ctl sbatch --parsable -n1 -w n2 -p short -o %j.out \
	--jobcr-timelimit=${lead}s job)
kept=$(cluster as alice ctl sbatch --parsable -n1 -w n2 -p short -o %j.out \
	--no-requeue --jobcr-timelimit=${lead}s job)
wait_until 30 printed "$job" 'round 3 of' || bail "job $job does not run"
is "$(field "$job" TimeLimit)" 00:01:00 "the limit is one minute"

# Status shows what Slurm said, by this node's clock.
status_of() {
	cluster exec n2 env JOBCR_CONF="$cluster_dir/etc/jobcr.conf" \
		"$cluster_dir/opt/bin/jobcr" status --json "$1"
}
knows() {
	status_of "$1" | grep -q "$2"
}
wait_until 30 knows "$job" '"window_s": *30'
ok $? "status knows the window: GraceTime 20 and KillWait 10" \
	"$(status_of "$job")"

wait_until $((60 + limits * 120)) has_ended "$job"
ok $? "it ends"
is "$(field "$job" JobState)" FAILED "by itself: a non-zero exit"
is "$(field "$job" ExitCode)" 7:0 "with the exit code of the script"
crossed=$(field "$job" Restarts)
[ "$crossed" -ge 1 ] && [ "$crossed" -ge "$limits" ]
ok $? "it was requeued $crossed times"
wait_until $((60 + limits * 30)) has_ended "$plain"
cmp "$home/$plain.out" "$home/$job.out" >/dev/null
ok $? "and printed what an undisturbed one prints, byte for byte" \
	"$(diff "$home/$plain.out" "$home/$job.out")"

history=$cluster_dir/shared/store/private
grep -h timelimit "$history/$kept/history" "$history/$kept.retired/history" \
	2>/dev/null | grep -q 'generation 1'
ok $? "one that may not be requeued is saved before its limit" \
	"$(cat "$history/$kept"*/history)"
done_testing
