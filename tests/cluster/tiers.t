#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each node has a FastDir of its own.  Periodic snapshots go there and then to
# the store; when a node is lost its job goes on elsewhere from the newest one
# that got to the store, and what is flushed late does not count.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_NODES=3 CLUSTER_TRACK="${TRACK:-linuxproc}" \
	CLUSTER_KILL_WAIT=5 CLUSTER_CONF='FastDir = "/run/fast"
LeaseTime = 4
RequeuedInterval = 1
Compression = "none"
KeepCompleted = "1d"'
for node in n1 n2 n3; do
	cluster exec $node mkdir -m 0755 /run/fast || bail "no /run/fast"
done

script job <<'EOT'
echo "begin"
progress 150 100 2 2 8
EOT
store=$cluster_dir/shared/store/private
# newest JOBID: its newest generation in the store, 0 for none.
newest() {
	last=0
	for dir in "$store/$1"/[0-9]*[0-9]; do
		[ ! -f "$dir/manifest" ] || last=${dir##*/}
	done
	expr "$last" + 0
}
has_generations() {
	[ "$(newest "$1")" -ge "$2" ]
}
history_has() {
	grep -q "$2" "$store/$1/history"
}

plain=$(cluster as alice ctl sbatch --parsable -n1 -w n3 -o %j.out job)
job=$(submit -x n3 --jobcr-interval=3s job)
wait_until 30 has_state "$job" RUNNING || bail "job $job does not run"
node=$(field "$job" NodeList)
wait_until 30 history_has "$job" 'in the fast directory' ||
	bail "no periodic snapshot" "$(cat "$store/$job/history")"
ok 0 "a periodic snapshot is written into the fast directory"
wait_until 30 has_generations "$job" 2
ok $? "and is in the store a moment later" "$(ls "$store/$job")"
is "$(stat -c %U "$store/$job"/*"$(newest "$job")")" \
	"$(stat -c %U "$store/$job")" "it is its user's"

# What is in the fast directory from now on does not get any further.
pending() {
	cluster exec "$node" sh -c 'for dir in /run/fast/private/'"$job"'/0*; do
		[ ! -e $dir/manifest ] || [ -e $dir/flushed ] || exit 0
	done; exit 1'
}
# A flush looks like this from outside: somebody holds the attempt.
(
	until pending; do
		for dir in "$store/$job"/*.new; do
			[ ! -e "$dir/fast" ] || exec 8<"$dir" && flock -n 8
		done
	done
	until [ -e "$cluster_dir/enough" ]; do
		sleep 0.1
	done
) >/dev/null 2>&1 &
holder=$!
wait_until 60 pending
ok $? "one that cannot be flushed stays there"
cluster exec "$node" jobcr status "$job" >"$cluster_dir/said" 2>&1
grep -q 'is in the fast directory' "$cluster_dir/said"
ok $? "the status of the job says so" "$(cat "$cluster_dir/said")"
touch "$cluster_dir/enough"
kill $holder 2>/dev/null
wait $holder 2>/dev/null

cluster cut "$node" store
cluster cut "$node" network
slurm scontrol update nodename="$node" state=down reason=test
wait_until 90 restarted "$job"
ok $? "the node is lost, the job starts elsewhere"
wait_until 60 history_has "$job" ' restore '
ok $? "from a snapshot in the store" "$(cat "$store/$job/history")"
wait_until 90 has_ended "$job"
wait_until 90 has_ended "$plain"
is "$(field "$job" JobState)" COMPLETED "it completes"
same_output "$job.out" "$plain.out" "and printed what an undisturbed one prints"
before=$(newest "$job")
cluster heal "$node"
emptied() {
	! pending
}
wait_until 60 emptied
ok $? "the node is back: nothing is left to be flushed" \
	"$(tail -n 20 "$cluster_dir/log/jobcrd-$node.log")"
is "$(newest "$job")" "$before" "and nothing new has come to the store"
done_testing
