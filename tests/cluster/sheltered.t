#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Jobs that are copied while they stand still, to a store so slow that Slurm's
# patience ends before.  Their trees are where its SIGKILL does not reach:
#   one is killed by Slurm in the middle of that, jobcrd too, and goes on
#     elsewhere from that very snapshot;
#   of one the store is full, and then the worker is killed: it runs on in
#     its own cgroups;
#   of one the worker is killed after Slurm has ended it: nothing is left.
# The store is slow since the kernel limits what a node may write.
. "$(dirname "$0")/lib.sh"

needs_slow
cluster_begin CLUSTER_TRACK="${TRACK:-cgroup}" CLUSTER_GRACE=5 \
	CLUSTER_KILL_WAIT=5 CLUSTER_CONF='PauseMode = stop' \
	CLUSTER_SLURM='PartitionName=patient PriorityTier=1 GraceTime=90'

# Of each thread on a node: its cgroups in all hierarchies, and its CPUs.
places() {
	cluster exec "$1" sh -c '
		for p in $(pgrep -x progress) $(pgrep -x jobcr-init); do
			for t in /proc/$p/task/*; do
				cat "$t/cgroup"
				grep Cpus_allowed_list "$t/status"
			done
		done' 2>/dev/null
}

# sheltered NODE JOBID: its processes are in the cgroup that jobcr made.
sheltered() {
	cluster exec "$1" sh -c 'cat /proc/$(pgrep -o -x progress)/cgroup' |
		grep -q "/jobcr-$2\$"
}

# Processes of a job on a node, its cgroups and those made for it.
left() {
	cluster exec "$1" sh -c "
		grep -lE '/(jobcr-|job_)$2(/|\$)' /proc/[0-9]*/cgroup
		find /sys/fs/cgroup -type d \
			'(' -name 'jobcr-$2' -o -name 'job_$2' ')'" 2>/dev/null
}

not_left() {
	[ -z "$(left "$1" "$2")" ]
}

unsupervised() {
	! cluster exec "$1" pgrep -x jobcr-supervis
}

# The kernel lets it die when what it was writing is written.
kill_worker() {
	cluster exec "$1" pkill -KILL -x jobcr-worker && slow "$1" 0
}

script job <<'EOT'
taskset -cp 0 $$ >/dev/null
progress 9000 100 3 2 8
EOT
killed=$(submit --jobcr job)
freed=$(submit -p patient --jobcr job)
lost=$(submit --jobcr job)
for job in $killed $freed $lost; do
	wait_until 30 printed "$job" 'round 5 of' || bail "job $job is not there"
done
n_killed=$(field "$killed" NodeList)
n_freed=$(field "$freed" NodeList)
n_lost=$(field "$lost" NodeList)
log=$cluster_dir/log/jobcrd-$n_freed.log
before=$(places "$n_freed")
slow "$n_killed" 500000
slow "$n_lost" 500000
preempt "$n_killed" 20 >/dev/null
preempt "$n_lost" >/dev/null

# There is room for the beginning of a snapshot, beside the job's lease.
store=$cluster_dir/shared/store
cluster exec "$n_freed" sh -c "cd '$store' &&
	mount -t tmpfs -o size=8m,mode=1777 tmpfs '$store' &&
	tar -c 'private/$freed' | tar -x -C '$store'" || bail "no full store"
preempt "$n_freed" >/dev/null
wait_until 30 grep -q 'job goes on: .*No space' "$log"
ok $? "there is no room for a snapshot" "$(cat "$log")"
# Its supervisor sees to that, when the worker has ended.
returned() {
	[ "$(places "$n_freed")" = "$before" ]
}
wait_until 10 returned
ok $? "every thread is where it was" "$(places "$n_freed"; echo; echo "$before")"
slow "$n_freed" 500000
cluster exec "$n_freed" umount -l "$store"

# Slurm kills the others.
wait_until 40 unsupervised "$n_lost"
ok $? "Slurm ends a job that is being saved"
sheltered "$n_lost" "$lost"
ok $? "its tree is there still"
kill_worker "$n_lost"
ok $? "its worker is killed, too"
wait_until 20 not_left "$n_lost" "$lost"
ok $? "nothing of it is left" "$(left "$n_lost" "$lost")"
cluster as alice ctl scancel "$lost"

wait_until 40 unsupervised "$n_killed"
ok $? "Slurm ends the other one"
cluster daemon "$n_killed" kill && cluster daemon "$n_killed" start
ok $? "jobcrd is killed and started again"
sheltered "$n_killed" "$killed"
ok $? "the tree is there still"
at_cut=$(grep -c round "$home/$killed.out")
restarted "$killed"
is "$?" 1 "the job does not start before its snapshot is whole"

# The worker is killed before Slurm has done anything, jobcrd too: there is no
# further attempt, and the supervisor does without.
wait_until 30 sheltered "$n_freed" "$freed"
ok $? "the one that went on is sheltered at the next attempt"
[ "${TRACK:-cgroup}" = cgroup2 ] || places "$n_freed" |
	grep -q "memory:.*/job_$freed/"
ok $? "and stays within the limits of its memory"
cluster daemon "$n_freed" kill && kill_worker "$n_freed"
ok $? "jobcrd and the worker are killed"
wait_until 10 returned
ok $? "every thread is where it was, on the CPUs that it had" \
	"$(places "$n_freed"; echo; echo "$before")"
rounds=$(grep -c round "$home/$freed.out")
more() {
	[ "$(grep -c round "$home/$1.out")" -gt "$rounds" ]
}
wait_until 20 more "$freed"
ok $? "and runs"
cluster as alice ctl scancel "$freed"
wait_until 40 not_left "$n_freed" "$freed"
ok $? "until it is cancelled" "$(left "$n_freed" "$freed")"
cluster daemon "$n_freed" start
slow "$n_killed" 0
wait_until 60 restarted "$killed"
ok $? "the one that Slurm killed starts again when its snapshot is whole"
not_left "$n_killed" "$killed"
ok $? "nothing of it is left" "$(left "$n_killed" "$killed")"
rounds=$at_cut
wait_until 30 more "$killed"
ok $? "and runs"
grep -q "$killed: starts from snapshot 1" "$cluster_dir"/log/jobcrd-*.log
ok $? "from where it was killed"
cluster as alice ctl scancel "$killed"
wait_until 30 has_ended "$killed"
grep '^round' "$home/$killed.out" >"$cluster_dir/got"
cluster as alice ctl progress 9000 0 3 2 8 2>/dev/null |
	head -n "$(wc -l <"$cluster_dir/got")" | cmp - "$cluster_dir/got"
ok $? "with the output of an undisturbed run" "$(cat "$cluster_dir/got")"
log=$cluster_dir/log/jobcrd-$n_killed.log
grep -q 'sheltered after .* killed, durable' "$log"
ok $? "jobcrd says what happened" "$(cat "$log")"
done_testing
