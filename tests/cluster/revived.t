#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Restores that fail, and restored jobs that die at once: held with the reason
# or as OnRestoreFailure says, never in a loop; a release tries again.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_KILL_WAIT=5

comment() {
	slurm scontrol show job "$1" | sed -n 's/^ *AdminComment=//p'
}

# configure LINE...: for the jobcrds of all nodes.
configure() {
	printf '%s\n' "$@" >>"$cluster_dir/etc/jobcr.conf"
	for node in n1 n2 n3; do
		cluster daemon $node stop
		cluster daemon $node start
	done
}

# The job crashes as soon as it runs where it did not start.
script homesick <<'EOT'
here=$(cat /proc/sys/kernel/hostname)
echo "at home"
until [ "$(cat /proc/sys/kernel/hostname)" != "$here" ] || [ -e stop ]; do
	sleep 0.2
done
[ -e welcome ] && echo "welcome" && exit 0
echo "where is my file?"
[ -e plain ] && exit 3
[ -e crash ] && kill -SEGV $$
sh -c 'kill -BUS $$'
EOT
job=$(submit --jobcr homesick)
# Its own comment is nobody else's business.
slurm scontrol update jobid="$job" admincomment="ticket 17"
wait_until 30 printed "$job" 'at home' || bail "job $job does not run"
vip=$(preempt "$(field "$job" NodeList)" 1000)
wait_until 60 held "$job"
ok $? "a job that crashes at once after its restore is held" \
	"$(slurm scontrol show job "$job")"
comment "$job" | grep -q '^ticket 17; jobcr: restored from snapshot 1.*status 135.*signal 7'
ok $? "the reason stands behind somebody else's comment" "$(comment "$job")"
touch "$home/welcome"
release "$job"
wait_until 60 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "COMPLETED 0:0" \
	"released, it goes on when what it missed is there"
is "$(tr '\n' ' ' <"$home/$job.out")" "at home welcome " \
	"from the snapshot, with its output"

rm -f "$home/welcome"
touch "$home/crash"
job=$(submit --jobcr homesick)
wait_until 30 printed "$job" 'at home' || bail "job $job does not run"
vip=$(preempt "$(field "$job" NodeList)" 1000)
wait_until 60 held "$job"
ok $? "so is one that is ended by a signal itself"
comment "$job" | grep -q '^jobcr: restored from snapshot 1.*signal 11'
ok $? "with the signal in the reason" "$(comment "$job")"
release "$job"
wait_until 60 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "FAILED 0:11" \
	"when it does it again after a release, that is its end"
grep -q "JobId=$job .*JobState=FAILED" "$cluster_dir/log/jobcomp.txt"
ok $? "as Slurm's accounting has it"
rm -f "$home/crash"
slurm scancel "$vip"

# A status of its own is its own end, however soon it comes.
touch "$home/plain"
job=$(submit --jobcr homesick)
wait_until 30 printed "$job" 'at home' || bail "job $job does not run"
vip=$(preempt "$(field "$job" NodeList)" 1000)
wait_until 60 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode) $(field "$job" Restarts)" \
	"FAILED 3:0 1" "one that exits is not held" \
	"$(slurm scontrol show job "$job")"
slurm scancel "$vip"

# A snapshot that is damaged, and what OnRestoreFailure says.

script job <<'EOT'
echo "begin"
progress 130 100 1 1 1
EOT
store=$cluster_dir/shared/store/private
saved() {
	[ "$(find "$store/$1" -name manifest | wc -l)" -ge "$2" ]
}
for policy in previous restart; do
	configure "OnRestoreFailure = \"$policy\""
	job=$(submit --jobcr job)
	wait_until 30 printed "$job" 'round 3 of' || bail "job $job: no start"
	preempt "$(field "$job" NodeList)" 1 >/dev/null
	wait_until 60 restarted "$job" || bail "job $job is not preempted"
	# Nowhere to go while the snapshot is spoilt.
	node=$(field "$job" NodeList)
	for each in n1 n2 n3; do
		[ $each = "$node" ] || slurm scontrol update \
			nodename=$each state=drain reason=test
	done
	vip=$(preempt "$node" 1000)
	wait_until 60 saved "$job" 2
	gone() {
		[ "$(field "$job" Restarts)" = 2 ] && has_state "$job" PENDING
	}
	wait_until 60 gone || bail "job $job is not preempted again"
	flip "$(find "$store/$job/0000000002" -name '*.meta')"
	for each in n1 n2 n3; do
		[ $each = "$node" ] ||
			slurm scontrol update nodename=$each state=resume
	done
	wait_until 90 restarted "$job" 3
	ok $? "$policy: a job whose snapshot is damaged is started once more" \
		"$(slurm scontrol show job "$job")"
	wait_until 90 has_ended "$job"
	is "$(field "$job" JobState)" COMPLETED "$policy: it completes"
	is "$(grep -c . "$home/$job.out")" 132 \
		"$policy: every line of its output is there once"
	slurm scancel "$vip"
done
grep -qh 'restore: generation 1' "$cluster_dir"/log/jobcrd-*.log
ok $? "previous: from the generation before"
grep -qh 'to start from its beginning' "$cluster_dir"/log/jobcrd-*.log
ok $? "restart: from its beginning"
done_testing
