#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A snapshot that cannot be restored holds the job, which is then as whole as
# before; without a snapshot a job starts from its beginning, and says so.
. "$(dirname "$0")/lib.sh"

# Where Slurm does not look for it.  Without it a lease has to run out.
cluster_begin CLUSTER_KILL_WAIT=5 CLUSTER_GRACE=3 \
	CLUSTER_CONF='MungeSocket = "/run/munged"
LeaseTime = 4'
on_nodes() {
	for each in n1 n2 n3; do
		cluster exec $each "$@"
	done
}
on_nodes ln -s /run/munge/munge.socket.2 /run/munged

script job <<'EOT'
echo "begin"
progress 120 100 2 2 4
EOT
plain=$(submit job)
job=$(submit --jobcr job)
wait_until 20 printed "$job" 'round 5 of' || bail "job $job does not run"
node=$(field "$job" NodeList)
# Nowhere to go while the snapshot is spoilt.
for other in n1 n2 n3; do
	[ "$other" = "$node" ] ||
		slurm scontrol update nodename=$other state=drain reason=test
done
vip=$(preempt "$node" 1000)
requeued() {
	[ "$(field "$1" Restarts)" = 1 ] && has_state "$1" PENDING
}
wait_until 40 requeued "$job"
ok $? "the job is saved and requeued"
meta=$(find "$cluster_dir/shared/store" -path "*/$job/*" -name '*.meta')
[ -n "$meta" ] || bail "no snapshot in the store"
flip "$meta"
for other in n1 n2 n3; do
	[ "$other" = "$node" ] ||
		slurm scontrol update nodename=$other state=resume
done
wait_until 90 has_ended "$plain"
wait_until 40 held "$job"
ok $? "a job whose snapshot is damaged is held" \
	"$(slurm scontrol show job "$job")"
slurm scontrol show job "$job" | grep -q 'AdminComment=.*meta'
ok $? "the reason names what is damaged" \
	"$(slurm scontrol show job "$job" | grep Comment)"
ran=
for other in n1 n2 n3; do
	ran=$ran$(cluster exec $other ps -eo user,args | grep '^alice')
done
[ -z "$ran" ]
ok $? "nothing of it was started" "$ran"
! grep -q begin "$home/$job.out" 2>/dev/null
ok $? "the script did not start from its beginning"

flip "$meta"
slurm scancel "$vip"
# Whether a seal is right cannot be told without munge: no other snapshot is
# any better then, nor is the job's beginning.
echo 'OnRestoreFailure = "restart"' >>"$cluster_dir/etc/jobcr.conf"
for each in n1 n2 n3; do
	cluster daemon $each stop
	cluster daemon $each start
done
on_nodes rm /run/munged
release "$job" || note "no earlier start"
held_for_munge() {
	held "$job" && slurm scontrol show job "$job" |
		grep -q 'AdminComment=.*munge'
}
wait_until 60 held_for_munge
ok $? "without munge it is held, whatever OnRestoreFailure says" \
	"$(slurm scontrol show job "$job")"
! grep -q begin "$home/$job.out" 2>/dev/null
ok $? "and does not start from its beginning"
on_nodes ln -s /run/munge/munge.socket.2 /run/munged

release "$job" || note "no earlier start"
wait_until 90 has_ended "$job"
is "$(field "$job" JobState)" COMPLETED "repaired and released, it completes"
same_output "$job.out" "$plain.out" "with the output of an undisturbed run"

# A node without jobcrd: no checkpoint, but Slurm's own course.  Long enough
# not to end by itself before Slurm looks at the grace time again.
script long <<'EOT'
echo "begin"
progress 250 100 2 2 1
EOT
job=$(submit --jobcr long)
wait_until 20 printed "$job" 'round 5 of' || bail "job $job does not run"
node=$(field "$job" NodeList)
cluster daemon "$node" kill
preempt "$node" 1000 >/dev/null
wait_until 60 requeued "$job"
ok $? "without jobcrd a preempted job is requeued by Slurm"
start_now "$job"
wait_until 90 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" Restarts)" "COMPLETED 1" \
	"it starts again elsewhere and completes"
is "$(sed -n '1,2p' "$home/$job.out" | cut -d: -f1 | tr '\n' ' ')" \
	"begin round 1 of 250 " "from its beginning"
grep -qh "job $job has no snapshot" "$cluster_dir"/log/slurmd-*.log
ok $? "which Slurm's log says"

# Cancelled while jobcrd still tries to hold it: it does not come back.
job=$(submit --jobcr long)
wait_until 20 printed "$job" 'round 5 of' || bail "job $job does not run"
slurm scancel "$job"
wait_until 40 has_ended "$job"
slurm "$cluster_dir/opt/libexec/jobcr-slurm" hold "$job" "a test"
is "$? $(field "$job" JobState)" "77 CANCELLED" "a cancelled job is not held"
slurm "$cluster_dir/opt/libexec/jobcr-slurm" requeue "$job"
is "$? $(field "$job" JobState)" "77 CANCELLED" "nor is it requeued"
slurm "$cluster_dir/opt/libexec/jobcr-slurm" requeue-ended "$job"
is "$? $(field "$job" JobState)" "0 PENDING" "but where that is asked for"
slurm scancel "$job"
done_testing
