#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs that end without having been saved: the job goes on from its last
# snapshot, but not for ever.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_NODES=2 CLUSTER_KILL_WAIT=5 CLUSTER_GRACE=5 \
	CLUSTER_SELECT=CR_CPU_Memory CLUSTER_CONF='RestoreLimit = 2'

# Numbers go on where they were; how far it got is not to be seen twice.
script stays <<'EOT'
count=0
until [ -e "go.$SLURM_JOB_ID" ]; do
	count=$((count + 1))
	echo "count $count"
	sleep 0.5
done
EOT
saved() { # SBATCH-ARGUMENTS...: a job that was saved once, and its node
	job=$(submit --jobcr "$@" stays)
	wait_until 30 printed "$job" '^count 2$' || bail "job $job: no start"
	node=$(field "$job" NodeList)
	cluster as alice "$node" jobcr checkpoint "$job" --leave-running \
		>/dev/null || bail "job $job is not saved"
}
manifests() {
	find "$cluster_dir/shared/store/private/$1" -name manifest | wc -l
}
ends_well() {
	touch "$home/go.$1"
	wait_until 40 has_ended "$1"
	is "$(field "$1" JobState) $(grep ^count "$home/$1.out" | uniq -d)" \
		"COMPLETED " "it completes"
	grep ^count "$home/$1.out" | cut -d' ' -f2 | sort -nc
	ok $? "every line of its output is there once" "$(cat "$home/$1.out")"
}

away() {
	[ "$(field "$1" JobState) $(field "$1" NodeList)" = "PENDING " ]
}

# Preempted for its memory: of a suspended one the CPUs are free.
saved --mem=1500
slurm scontrol suspend "$job"
wait_until 20 has_state "$job" SUSPENDED || bail "job $job is not suspended"
cluster as bob ctl sbatch --parsable -p high -w "$node" --mem=1500 \
	-o /dev/null --wrap 'sleep 1' >/dev/null
wait_until 60 away "$job" || bail "job $job is not preempted"
held "$job"
ok $? "a suspended job that is preempted is held by Slurm"
release "$job"
wait_until 60 restarted "$job"
ok $? "released it is started again" \
	"$(slurm scontrol show job "$job")"
is "$(manifests "$job")" 1 "it could not be saved: its snapshot is the old one"
ends_well "$job"

# Restored from one snapshot and ended by others, again and again.
# evict JOBID: from its node, whose jobcrd is away.
evict() {
	node=$(field "$1" NodeList)
	slurm scontrol update nodename="$node" state=drain reason=test
	cluster daemon "$node" kill
	slurm scontrol requeue "$1"
}
# Slurm counts a start before the run has asked what to begin from.
has_begun() { # JOBID TIMES
	[ "$(cluster as alice "$(field "$1" NodeList)" jobcr history "$1" |
		grep -c 'starts from snapshot')" -eq "$2" ]
}
return_node() {
	cluster daemon "$node" start
	slurm scontrol update nodename="$node" state=resume
}
saved --mem=100
for round in 1 2; do
	evict "$job"
	wait_until 60 restarted "$job" $round
	wait_until 30 has_begun "$job" $round
	ok $? "a job that could not be saved is restored, time $round" \
		"$(slurm scontrol show job "$job")"
	return_node
done
evict "$job"
wait_until 60 held "$job"
ok $? "beyond RestoreLimit it is held" "$(slurm scontrol show job "$job")"
slurm scontrol show job "$job" | grep -q 'AdminComment=.*from it 2 times'
ok $? "with the reason" "$(slurm scontrol show job "$job")"
is "$(manifests "$job")" 1 "its snapshot is kept"
release "$job"
ends_well "$job"
done_testing
