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

# It does not end before its node is lost.
script job <<'EOT'
export PROGRESS_END=go
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

root_jobcr() {
	cluster exec "$node" env JOBCR_CONF="$cluster_dir/etc/jobcr.conf" \
		JOBCR_LIBEXEC="$cluster_dir/opt/libexec" \
		"$cluster_dir/opt/bin/jobcr" "$@"
}
# One that nobody flushes: jobcrd is killed when its worker has begun.
cd "$cluster_dir" || exit 99
mkfifo in
: >steps
root_jobcr checkpoint "$job" --step <in >steps 2>&1 &
asker=$!
exec 9>in
wait_until 30 grep -q phase steps
cluster daemon "$node" kill
while kill -0 $asker 2>/dev/null && echo >&9; do
	sleep 0.05
done 2>/dev/null
exec 9>&-
wait $asker
is "$?" 0 "one is saved while jobcrd is killed" "$(cat steps)"
left=$(sed -n 's/.*generation \([0-9]*\):.*/\1/p' steps)
waits() {
	cluster exec "$node" test -e \
		"/run/fast/private/$job/$(printf %010d "$left")/manifest"
}
waits && [ "$(newest "$job")" -lt "$left" ]
ok $? "it is in the fast directory, and not in the store" "$(cat steps)"
root_jobcr status "$job" >said 2>&1
grep -q "generation $left is in the fast directory" said
ok $? "the status of the job says so" "$(cat said)"

cluster cut "$node" store
cluster cut "$node" network
slurm scontrol update nodename="$node" state=down reason=test
wait_until 90 restarted "$job"
ok $? "the node is lost, the job starts elsewhere"
touch "$home/go"
wait_until 60 history_has "$job" ' restore '
ok $? "from a snapshot in the store" "$(cat "$store/$job/history")"
history_has "$job" "generation $left did not get from the fast directory"
ok $? "and it is said what was lost" "$(cat "$store/$job/history")"
wait_until 90 has_ended "$job"
wait_until 90 has_ended "$plain"
is "$(field "$job" JobState)" COMPLETED "it completes"
same_output "$job.out" "$plain.out" "and printed what an undisturbed one prints"
# Its last snapshot may still be on its way to the store when it ends.
of_others() {
	grep -v "^[0-9]* $node " "$store/$job/history" | grep -c "$1"
}
all_flushed() {
	[ "$(of_others ' ended ')" -eq 1 ] &&
		[ "$(of_others ' checkpoint .* in the fast directory')" -eq \
			"$(of_others ' flushed ')" ]
}
wait_until 30 all_flushed || bail "a flush does not end" \
	"$(cat "$store/$job/history")"
before=$(newest "$job")
cluster heal "$node"
cluster daemon "$node" start
emptied() {
	! waits
}
wait_until 60 emptied
ok $? "the node is back: what was left there is dropped" \
	"$(tail -n 20 "$cluster_dir/log/jobcrd-$node.log")"
is "$(newest "$job")" "$before" "and nothing new has come to the store"
done_testing
