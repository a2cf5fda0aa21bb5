#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job is requeued while its only snapshot is on its way from the fast
# directory of its node to the store: on another node it waits for it.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_NODES=2 CLUSTER_TRACK="${TRACK:-linuxproc}" \
	CLUSTER_KILL_WAIT=5 CLUSTER_CONF='FastDir = "/run/fast"
RequeuedInterval = 1
Compression = "none"
MaxBandwidth = "6M"
KeepCompleted = "1d"'
for node in n1 n2; do
	cluster exec $node mkdir -m 0755 /run/fast || bail "no /run/fast"
done

# It does not end before it has been requeued.
script job <<'EOT'
export PROGRESS_END=go
echo "begin"
progress 70 100 2 2 24
EOT
store=$cluster_dir/shared/store/private
history_has() {
	grep -q "$2" "$store/$1/history"
}
slurm scontrol update nodename=n2 state=drain reason=test
job=$(submit --jobcr job)
wait_until 30 printed "$job" 'round 5 of' || bail "job $job does not run"
# The only one: a second would go to the store at once.
cluster as alice n1 jobcr checkpoint "$job" --leave-running >/dev/null ||
	bail "job $job has no snapshot"
is_copied() {
	[ -n "$(find "$store/$job/0000000001.new" -name '*pages*')" ]
}
wait_until 30 is_copied
ok $? "a snapshot is on its way to the store"
# It comes no further before the job has started elsewhere; a jobcrd that sees
# the requeue would wait for it.
cluster daemon n1 kill
copies=$(cluster exec n1 pgrep -x jobcr-worker) &&
	cluster exec n1 kill -STOP "$copies" || bail "nobody copies it"
slurm scontrol update nodename=n1 state=drain reason=test
slurm scontrol update nodename=n2 state=resume
slurm scontrol requeue "$job"
off_its_node() {
	has_state "$job" PENDING && [ "$(field "$job" NodeList)" = "" ]
}
wait_until 60 off_its_node || bail "job $job is not requeued"
start_now "$job"
wait_until 60 restarted "$job"
ok $? "its job starts on another node"
[ ! -e "$store/$job/0000000001" ]
ok $? "before it is there"
# Its node is back, and waits for something: here for a copy that stands still.
cluster daemon n1 start
starts_of() {
	grep -c " started " "$store/$1/history"
}
starts=$(starts_of "$job")
sleep 45
is "$(starts_of "$job")" "$starts" "which waits as long as that node says so" \
	"$(cat "$store/$job/history")"
touch "$home/go"
cluster exec n1 kill -CONT "$copies"
wait_until 60 history_has "$job" ' restore 1 '
ok $? "and goes on from it" "$(cat "$store/$job/history")"
grep -q "n2 restore 1 " "$store/$job/history"
ok $? "when it has come" "$(cat "$store/$job/history")"
wait_until 60 has_ended "$job"
is "$(field "$job" JobState)" COMPLETED "it completes"

# The node does not come back in time: it must not start from its beginning.
rm "$home/go"
slurm scontrol update nodename=n2 state=drain reason=test
slurm scontrol update nodename=n1 state=resume
job=$(submit --jobcr job)
wait_until 30 printed "$job" 'round 5 of' || bail "job $job does not run"
cluster as alice n1 jobcr checkpoint "$job" --leave-running >/dev/null ||
	bail "job $job has no snapshot"
wait_until 30 is_copied || bail "it is not copied"
cluster daemon n1 kill
copies=$(cluster exec n1 pgrep -x jobcr-worker) &&
	cluster exec n1 kill -STOP "$copies" || bail "nobody copies it"
slurm scontrol update nodename=n1 state=drain reason=test
slurm scontrol update nodename=n2 state=resume
slurm scontrol requeue "$job"
wait_until 60 off_its_node || bail "job $job is not requeued"
start_now "$job"
is_held() {
	slurm scontrol show job "$job" | grep -q 'AdminComment=.*only snapshot.*n1'
}
wait_until 90 is_held
ok $? "one whose only snapshot is on a node that is away is held" \
	"$(slurm scontrol show job "$job"; cat "$store/$job/history")"
cluster exec n1 kill -CONT "$copies"
cluster daemon n1 start
has_come() {
	[ -e "$store/$job/0000000001/manifest" ]
}
wait_until 60 has_come || bail "it does not come"
touch "$home/go"
release "$job"
wait_until 60 history_has "$job" ' restore 1 '
ok $? "and goes on from it when it is released" "$(cat "$store/$job/history")"
wait_until 60 has_ended "$job"
is "$(field "$job" JobState)" COMPLETED "it completes"
done_testing
