#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --jobcr-signal: the job gets its signal first and then its time, but not
# more than Slurm leaves; it may also end by itself.
. "$(dirname "$0")/lib.sh"

[ -d /sys/fs/cgroup/freezer ] ||
	skip_all "needs the v1 freezer in /sys/fs/cgroup"
cluster_begin CLUSTER_TRACK=cgroup CLUSTER_GRACE=60 CLUSTER_KILL_WAIT=10 \
	CLUSTER_SLURM='PreemptExemptTime=00:00:02
PartitionName=short PriorityTier=1 PreemptMode=REQUEUE GraceTime=6'

script works <<'EOT'
trap 'echo "got USR1"' USR1
trap 'echo "got TERM"' TERM
progress 150 100 1 1 1 &
until wait $!; [ $? -le 128 ]; do :; done
echo "ends in run ${SLURM_RESTART_COUNT:-0}"
EOT
script leaves <<'EOT'
trap 'echo "leaves"; exit 5' USR1
progress 600 100 1 1 1 &
wait
EOT
a=$(submit --jobcr-signal=USR1@2 -w n1 works)
b=$(submit --jobcr-signal=USR1@100 -p short -w n2 works)
c=$(submit --jobcr-signal=USR1@100 -w n3 leaves)
for j in $a $b $c; do
	wait_until 30 printed "$j" 'round 10 of' || bail "job $j does not run"
done
for node in n1 n2 n3; do
	preempt $node >/dev/null
done
# checked JOBID TEXT
checked() {
	wait_until 90 has_ended "$1"
	is "$(field "$1" JobState) $(field "$1" Restarts)" "COMPLETED 1" \
		"$2: it is saved and goes on" "$(slurm scontrol show job "$1")"
	is "$(grep -c '^got USR1' "$home/$1.out")" 1 "$2: it got its signal once"
	! printed "$1" 'got TERM'
	ok $? "$2: and no other" "$(cat "$home/$1.out")"
}
wait_until 60 has_ended "$c"
is "$(field "$c" JobState) $(field "$c" ExitCode)" "FAILED 5:0" \
	"a job that ends by itself on the signal ends so"
checked "$a" "two seconds"
checked "$b" "more than there is"
! grep -q 'DUE TO PREEMPTION' "$home/$a.out" "$home/$b.out"
ok $? "both were saved before their grace time was over"
grep -h "signal 10, . s before" "$cluster_dir"/log/jobcrd-n[12].log |
	sed 's/.*signal/# signal/'
done_testing
