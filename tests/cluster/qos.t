#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Preemption by QOS: with each mode and without, with a short and with a long
# grace time a job goes on at another node, and how long it has is known.
. "$(dirname "$0")/lib.sh"

needs_accounts
# Without a grace time linuxproc loses what does not handle SIGTERM.
[ -d /sys/fs/cgroup/freezer ] && track=cgroup || track=cgroup2
cluster_begin CLUSTER_TRACK="${TRACK:-$track}" CLUSTER_ACCOUNTS=yes \
	CLUSTER_CPUS=8 CLUSTER_KILL_WAIT=30 CLUSTER_NODES=2

all=
for mode in requeue cancel; do
	for grace in 0 10 60; do
		qos $mode$grace preemptmode=$mode gracetime=$grace ||
			bail "no QOS $mode$grace"
		all=$all${all:+,}$mode$grace
	done
done
qos high preempt="$all" || bail "no QOS high"

script job <<'EOT'
echo "begin"
progress 20 100 1 2 2
until [ -e go ]; do
	sleep 0.1
done
progress 20 100 1 2 2
echo "progress ended with $?"
exit 7
EOT

# share QOS [OPTION...]: a job on a part of node 1.
share() {
	cluster as alice ctl sbatch --parsable -o %j.out --qos "$@"
}
# Nowhere else to begin.
slurm scontrol update nodename=n2 state=drain reason=test
jobs=
for name in $(echo $all | tr , ' '); do
	jobs="$jobs $name:$(share "$name" --jobcr job)"
done
undisturbed=$(share high --jobcr job)
for job in $jobs; do
	wait_until 30 printed "${job#*:}" 'round 5 of' ||
		bail "job $job does not run"
done

window() {
	slurm "$cluster_dir/opt/libexec/jobcr-slurm" limits "$1" |
		sed 's/.*window=//'
}
told() { # JOBID SECONDS
	cluster as alice n1 jobcr status --json "$1" |
		grep -q "\"window_s\": *$2\\b"
}
for job in $jobs; do
	grace=$(echo "${job%:*}" | tr -d a-z)
	is "$(window "${job#*:}")" $((grace + 30)) \
		"${job%:*}: the window is its grace time and KillWait"
done
is "$(window "$undisturbed")" -1 "nothing preempts a job of QOS high"
last=${job#*:}
wait_until 10 told "$last" 90
ok $? "jobcr status reckons with that" \
	"$(cluster as alice n1 jobcr status --json "$last")"

slurm scontrol update nodename=n2 state=resume
# All but the undisturbed one are in its way.
vip=$(cluster as bob ctl sbatch --parsable --qos high -w n1 -N 1 -n 7 \
	-o /dev/null --wrap "sleep 1000")
wait_until 90 has_state "$vip" RUNNING ||
	bail "nothing is preempted: $(slurm squeue)"
for job in $jobs; do
	wait_until 60 restarted "${job#*:}"
	ok $? "${job%:*}: it is preempted and started again" \
		"$(slurm scontrol show job "${job#*:}")"
	is "$(field "${job#*:}" NodeList)" n2 "${job%:*}: elsewhere"
done
touch "$home/go"
wait_until 60 has_ended "$undisturbed"
for job in $jobs; do
	id=${job#*:}
	wait_until 60 has_ended "$id"
	is "$(field "$id" JobState) $(field "$id" ExitCode)" "FAILED 7:0" \
		"${job%:*}: it ends with the exit code of its script"
	same_output "$id.out" "$undisturbed.out" \
		"${job%:*}: its output is that of an undisturbed run"
done
# Without a grace time Slurm has ended the run, with one jobcr requeues it; one
# that Slurm cancelled is both.
runs() {
	slurm sacct -n -P -X -D -j "$1" -o state,nodelist | tr '\n' ' '
}
for job in $jobs; do
	case ${job%:*} in
	requeue0) first=PREEMPTED ;;
	cancel0) first='(PREEMPTED|REQUEUED)' ;;
	*) first=REQUEUED ;;
	esac
	has_runs() {
		runs "${job#*:}" | grep -qxE "$first\|n1 FAILED\|n2 "
	}
	wait_until 20 has_runs
	ok $? "${job%:*}: sacct has one job with two runs" "$(runs "${job#*:}")"
done
slurm scancel "$vip"
done_testing
