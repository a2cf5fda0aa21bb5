#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# After the failure of its node a job starts when there is room for it, not
# when its old credential has expired; nobody has to say so.  What its user
# said of when it may start holds.
. "$(dirname "$0")/lib.sh"

# Longer than the test: nothing starts by itself.
cluster_begin CLUSTER_NODES=4 CLUSTER_TRACK="${TRACK:-linuxproc}" \
	CLUSTER_SLURM='AuthInfo=cred_expire=600' \
	CLUSTER_CONF='LeaseTime = 3
RequeuedInterval = 1' CLUSTER_KILL_WAIT=5

script job <<'EOT'
progress 3000 100 1 1 1
EOT
saved=$(submit --jobcr job)
delayed=$(submit --jobcr job)
held=$(submit --jobcr job)
plain=$(submit job)
for job in $saved $delayed $held $plain; do
	wait_until 60 printed "$job" 'round [1-9]' || bail "job $job does not run"
done
for job in $saved $delayed $held; do
	cluster as alice "$(field "$job" NodeList)" \
		jobcr checkpoint "$job" --leave-running >/dev/null ||
		bail "job $job has no snapshot"
done
later=$(submit --begin=now+601 --jobcr job)

# Nobody asks for jobs before their users have had their say.
for node in n1 n2 n3 n4; do
	cluster daemon $node stop
done
left() {
	[ "$(field "$1" Restarts)" = 1 ] && has_state "$1" PENDING &&
		[ "$(field "$1" Reason)" = BeginTime ]
}
for job in $delayed $held $plain; do
	slurm scontrol update nodename="$(field "$job" NodeList)" \
		state=down reason=test
done
for job in $delayed $held $plain; do
	wait_until 60 left "$job"
	ok $? "job $job, whose node failed, waits"
done
cluster as alice ctl scontrol update jobid="$delayed" StartTime=now+700
cluster as alice ctl scontrol hold "$held"
waiting() {
	for job in $delayed $held $plain $later; do
		echo "$job $(field "$job" JobState) $(field "$job" StartTime)"
	done
}
before=$(waiting)

# ReturnToService: they are back when their slurmd says a word.
lost=$(field "$saved" NodeList)
for node in n1 n2 n3 n4; do
	[ $node = "$lost" ] || cluster slurm $node restart
done
cluster kill-node "$lost"
for node in n1 n2 n3 n4; do
	[ $node = "$lost" ] || cluster daemon $node start
done
slurm scontrol update nodename="$lost" state=down reason=test
began=$(date +%s)
wait_until 60 restarted "$saved"
ok $? "one with a snapshot starts after $(($(date +%s) - began)) s"
rounds=$(grep -c 'round [0-9]' "$home/$saved.out")
goes_on() {
	[ "$(grep -c 'round [0-9]' "$home/$saved.out")" -gt $((rounds + 5)) ]
}
wait_until 60 goes_on && [ "$(grep -c 'round 1 of' "$home/$saved.out")" = 1 ]
ok $? "and goes on" "$(cat "$home/$saved.out")"
# It is said when Slurm has been told, and the job runs already.
said() {
	cat "$cluster_dir"/log/jobcrd-*.log |
		grep -c "$saved: requeued by Slurm, may start at once"
}
wait_until 20 said
is "$(said)" 1 "one node saw to it, once, and says so"

# One question for all nodes: turns are numbered.
turns() {
	ls "$cluster_dir/shared/store/private/.requeued" | sort -n | tail -n 1
}
at=$(date +%s%N) from=$(turns)
sleep 5
asked=$(($(turns) - from)) ms=$((($(date +%s%N) - at) / 1000000))
[ $asked -ge 1 ] && [ $asked -le $((ms / 900 + 1)) ]
ok $? "three nodes asked $asked times in $ms ms"
is "$(waiting)" "$before" "those that wait for their user, are held, \
have no snapshot or never ran are left alone"
slurm scancel "$saved" "$delayed" "$held" "$plain" "$later"
done_testing
