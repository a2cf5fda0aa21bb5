#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A node whose store is not mounted has an empty directory in its place: no
# snapshot is made there, which nobody would find, and no job that has one
# starts from its beginning.
. "$(dirname "$0")/lib.sh"

[ -d /sys/fs/cgroup/freezer ] && track=cgroup || track=linuxproc
cluster_begin CLUSTER_NODES=2 CLUSTER_TRACK="${TRACK:-$track}" \
	CLUSTER_KILL_WAIT=5 CLUSTER_CONF='LeaseTime = 60'
store=$cluster_dir/shared/store
lose_store() {
	cluster exec "$1" mount -t tmpfs -o size=200m,mode=1777 tmpfs "$store"
}
has_store() {
	cluster exec "$1" umount -l "$store"
}
more_restarts() {
	[ "$(field "$job" Restarts)" -gt "$restarts" ]
}
save() {
	said=$(cluster as alice n1 jobcr checkpoint "$job" "$@" 2>&1)
}

script job <<'EOT'
progress 300 100 2 2 4
EOT
plain=$(cluster as alice ctl sbatch --parsable -n1 -w n2 -o %j.out job)
slurm scontrol update nodename=n2 state=drain reason=test
job=$(cluster as alice ctl sbatch --parsable -n1 -o %j.out --jobcr job)
wait_until 30 printed "$job" 'round 5 of' || bail "job $job does not run"
# Until its keeper has found it, a store is not known.
wait_until 30 cluster exec n1 test -s "/run/jobcr/jobs/$job/lease.rec" &&
	save --leave-running || bail "job $job has no snapshot: $said"

# Where it runs.
lose_store n1
save --kill
is $? 1 "without its store a job is not saved" "$said"
printf '%s' "$said" | grep -q "store $store is not where the job began"
ok $? "which is said" "$said"
is "$(cluster exec n1 find "$store" -name manifest)" "" \
	"nothing is written to the place of the store"
round=$(grep -c 'round' "$home/$job.out")
goes_on() {
	[ "$(grep -c 'round' "$home/$job.out")" -gt $((round + 3)) ]
}
wait_until 30 goes_on
ok $? "the job goes on"
has_store n1
save --leave-running
ok $? "with its store it is saved" "$said"

# Where it is to go on.
lose_store n2
new=$(cluster as alice ctl sbatch --parsable -n1 -w n2 -o %j.out \
	--jobcr --wrap 'echo begins')
slurm scontrol update nodename=n2 state=resume
slurm scontrol update nodename=n1 state=drain reason=test
wait_until 60 printed "$new" begins
ok $? "a first run starts on a node without the store"
wait_until 60 has_ended "$new"
slurm scontrol requeue "$job"
wait_until 30 has_state "$job" PENDING
start_now "$job"
for time in first second; do
	wait_until 60 held "$job"
	ok $? "a job that was saved is held there, the $time time" \
		"$(slurm scontrol show job "$job")"
	slurm scontrol show job "$job" |
		grep -q "AdminComment=.*store $store has nothing of this job"
	ok $? "with the reason" "$(slurm scontrol show job "$job")"
	restarts=$(field "$job" Restarts)
	[ $time = second ] || release "$job"
	[ $time = second ] || wait_until 30 more_restarts
done
is "$(cluster exec n2 find "$store" -path "*/$job*")" "" \
	"and leaves nothing in the place of the store"
has_store n2
release "$job"
wait_until 90 has_ended "$job" && wait_until 90 has_ended "$plain"
is "$(field "$job" JobState)" COMPLETED \
	"when the store is there the job goes on" \
	"$(slurm scontrol show job "$job")"
same_output "$job.out" "$plain.out" "with the output of an undisturbed run"
done_testing
