#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A node that is cut off keeps its processes; one that was killed does not.
# Their jobs go on elsewhere from the last snapshot, and never do two runs of
# one job go on at once: each writes who it is into a file that both would
# write.
. "$(dirname "$0")/lib.sh"

lease=6
cluster_begin CLUSTER_NODES=4 CLUSTER_TRACK="${TRACK:-linuxproc}" \
	CLUSTER_CONF="LeaseTime = $lease
RequeuedInterval = 1" CLUSTER_KILL_WAIT=5

# One line per round: the node, the round, the time.  A file of its own per
# job, opened anew each time, as a lock file or a log would be.
script job <<'EOT'
n=0
while [ ! -e "$HOME/stop.$SLURM_JOB_ID" ]; do
	n=$((n + 1))
	read -r host </proc/sys/kernel/hostname
	echo "$host $n $EPOCHREALTIME" >>"$HOME/trace.$SLURM_JOB_ID"
	echo "round $n"
	sleep 0.1
done
EOT
rounds() {
	grep -c "^$2 " "$home/trace.$1"
}
has_rounds() {
	[ "$(rounds "$1" "$2")" -ge "$3" ]
}
last() {
	tail -n 1 "$home/trace.$1"
}
log_of() {
	echo "$cluster_dir/log/jobcrd-$1.log"
}

# Two on a node that is cut off; one of them is over before it is healed.
lost=$(submit --jobcr job)
wait_until 30 has_state "$lost" RUNNING
cut=$(cluster as alice ctl sbatch --parsable -n1 -o %j.out --jobcr job)
over=$(cluster as alice ctl sbatch --parsable -n1 -o %j.out --jobcr job)
wait_until 30 has_state "$cut" RUNNING && wait_until 30 has_state "$over" RUNNING
at=$(field "$cut" NodeList)
other=$(field "$lost" NodeList)
[ "$(field "$over" NodeList)" = "$at" ] || bail "job $over is not on $at"
wait_until 30 has_rounds "$cut" "$at" 5 || bail "job $cut does not run"
wait_until 30 has_rounds "$over" "$at" 5 || bail "job $over does not run"
wait_until 30 has_rounds "$lost" "$other" 5 || bail "job $lost does not run"
is "$(cd "$cluster_dir/shared/store/private/$cut" && echo lease.*)" \
	lease.0000000001 "a first run takes epoch 1"

# Until the node knows of its lease there is none for it that could lapse.
for job in $cut $over; do
	wait_until 30 cluster exec "$at" test -e "/run/jobcr/jobs/$job/lease.rec" ||
		bail "$at has no lease of job $job"
done

# The store goes away and comes back.
cluster cut "$at" store
wait_until 30 grep -q "$cut: stands still: its lease" "$(log_of "$at")"
stopped=$?
before=$(last "$cut")
sleep 1
[ $stopped = 0 ] && [ "$(last "$cut")" = "$before" ]
ok $? "a job stands still when its lease cannot be renewed" \
	"$(cat "$(log_of "$at")")"
cluster heal "$at"
round=$(rounds "$cut" "$at")
wait_until 30 has_rounds "$cut" "$at" $((round + 5)) &&
	wait_until 30 grep -q "$cut: goes on: its lease" "$(log_of "$at")"
ok $? "and goes on when it can" "$(cat "$(log_of "$at")")"
grep -q "$cut: goes on: its lease.*it stood still for" "$(log_of "$at")"
ok $? "the log says for how long" "$(cat "$(log_of "$at")")"

# Who holds a tree still keeps all others from it.
is_held() {
	[ "$(grep -c "$1: stands still: its lease" "$(log_of "$at")")" -gt \
		"$(grep -c "$1: goes on: its lease" "$(log_of "$at")")" ]
}
is_let_go() {
	has_rounds "$over" "$at" $((round + 10)) && ! is_held "$over"
}
round=$(rounds "$over" "$at")
wait_until 30 is_let_go || bail "job $over stands still"
for job in $cut $over $lost; do
	cluster as alice "$(field "$job" NodeList)" \
		jobcr checkpoint "$job" --leave-running >/dev/null
	ok $? "job $job has a snapshot"
done
cut_round=$(last "$cut" | cut -d ' ' -f 2)
over_round=$(last "$over" | cut -d ' ' -f 2)
lost_round=$(last "$lost" | cut -d ' ' -f 2)

cluster cut "$at" store
cluster cut "$at" network
cluster kill-node "$other"
for node in "$at" "$other"; do
	slurm scontrol update nodename="$node" state=down reason=test
done
for job in $cut $over $lost; do
	wait_until 60 restarted "$job"
	ok $? "job $job is started again"
done
goes_on() {
	new=$(field "$1" NodeList)
	has_rounds "$1" "$new" 5
}
for job in $cut $over $lost; do
	wait_until 60 goes_on "$job"
	ok $? "job $job goes on on another node" "$(cat "$home/$job.out")"
done
touch "$home/stop.$over"
wait_until 60 has_state "$over" COMPLETED
ok $? "one of them completes" "$(slurm scontrol show job "$over")"
has_no_lease() {
	! ls "$cluster_dir/shared/store/private/$over"/lease.*
}
wait_until 60 has_no_lease
ok $? "and leaves nothing that tells of it in the store" \
	"$(ls "$cluster_dir/shared/store/private/$over")"

cluster heal "$at"
for job in $cut $over; do
	wait_until 60 grep -q "$job: ended here" "$(log_of "$at")"
	ok $? "the node that was cut off ends its copy of job $job when it can see again" \
		"$(cat "$(log_of "$at")")"
done
no_process() {
	! cluster exec "$at" pgrep -u 2001
}
wait_until 30 no_process
ok $? "and nothing of it is left there"

# once NODE-CHANGES: whoever wrote stopped for good when another one began.
once() {
	cut -d ' ' -f 1 "$home/trace.$1" | uniq | sort | uniq -d
}
first_there() {
	sed -n "/^$2 /{p;q}" "$home/trace.$1" | cut -d ' ' -f 2
}
check() {
	job=$1 old=$2 round=$3
	is "$(once "$job")" "" "never two runs of job $job at once"
	new=$(field "$job" NodeList)
	began=$(first_there "$job" "$new")
	[ "$began" -gt 5 ] && [ "$began" -le $((round + 1)) ]
	ok $? "job $job began at round $began, its snapshot was before $round"
	bad=$(awk -v h="$new" '$1 == h && n && $2 != n + 1 { print }
		$1 == h { n = $2 }' "$home/trace.$job")
	is "$bad" "" "and did each round from there once"
	bad=$(written "$home/$job.out" | awk '$0 != "round " NR')
	is "$bad" "" "and its output has every round once"
}
check "$cut" "$at" "$cut_round"
new=$(last "$over" | cut -d ' ' -f 1)
is "$(once "$over")" "" "never two runs of job $over at once"
[ "$new" != "$at" ] && [ "$(first_there "$over" "$new")" -le $((over_round + 1)) ]
ok $? "its last round was done on $new" "$(tail -n 3 "$home/trace.$over")"
check "$lost" "$other" "$lost_round"
ls "$cluster_dir/shared/store/private/$cut" | sed 's/^/# /'
slurm scancel "$cut" "$lost"
released() {
	grep -q " released " "$cluster_dir/shared/store/private/$1/$2"
}
wait_until 30 released "$cut" lease.0000000002
ok $? "a job that has ended releases its lease"
done_testing
