#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Periodic snapshots: a job that works gets them and does not notice, one that
# sleeps is left alone, and MaxWriters holds over all nodes.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_NODES=2 CLUSTER_TRACK="${TRACK:-linuxproc}" \
	CLUSTER_CONF='MaxWriters = 1
KeepCompleted = "1d"'

# None ends before it has been saved often enough.
script work <<'EOT'
export PROGRESS_END=go
echo "begin"
progress 130 100 2 2 4
EOT
# A timer that would be seen to begin again.
script rest <<'EOT'
echo "begin"
sleep 3600
EOT
plain=$(cluster as alice ctl sbatch --parsable -n1 -w n1 -o %j.out work)
working=
for node in n1 n1 n2 n2; do
	working="$working $(cluster as alice ctl sbatch --parsable -n1 -w $node \
		-o %j.out --jobcr-interval=3s work)"
done
resting=$(cluster as alice ctl sbatch --parsable -n1 -w n2 -o %j.out \
	--jobcr-interval=3s rest)

store=$cluster_dir/shared/store/private
# newest JOBID: its newest generation, 0 for none.
newest() {
	for dir in "$store/$1"/[0-9]*[0-9]; do
		[ -f "$dir/manifest" ] && last=${dir##*/} || last=0
	done
	expr "$last" + 0
}
has_generations() {
	[ "$(newest "$1")" -ge "$2" ]
}

# A generation under way has a directory with .new: looked at all the time.
# The shell looks into one job after the other: only those that are still there
# when it has seen all were there at one time.
at_once() {
	there=
	for each; do
		[ ! -d "$each" ] || there="$there $each"
	done
	# shellcheck disable=SC2086 # words
	set -- $there
	[ $# -lt 2 ] || echo "$*"
}
(
	until [ -e "$cluster_dir/enough" ]; do
		set -- "$store"/*/[0-9]*.new
		[ $# -lt 2 ] || at_once "$@"
	done
) >"$cluster_dir/together" 2>&1 &
watcher=$!

set -- $working
wait_until 60 has_generations "$1" 3 || bail "no periodic snapshots"
ok 0 "a job with an interval of 3 s gets one snapshot after the other"
for job in $working; do
	wait_until 60 has_generations "$job" 2
	ok $? "job $job has $(newest "$job") snapshots"
done
touch "$home/go"
for job in $working; do
	wait_until 60 has_ended "$job"
	is "$(field "$job" JobState)" COMPLETED "job $job ends well"
done
touch "$cluster_dir/enough"
wait $watcher
is "$(cat "$cluster_dir/together")" "" "never two were written at a time"

wait_until 30 has_ended "$plain"
for job in $working; do
	same_output "$job.out" "$plain.out" \
		"job $job printed what an undisturbed one prints"
done
# Each turn of the one slot was one snapshot.
sum=0
for job in $working $resting; do
	sum=$((sum + $(newest "$job")))
done
slots=$(ls "$store/.writers")
is "$(echo "$slots" | wc -l)" 1 "one slot is left of all"
[ "${slots#0.}" -ge $sum ]
ok $? "it was given away for each of them ($slots, $sum snapshots)"

history_of() {
	cat "$store/$1/history"
}
skips() {
	history_of "$1" | grep -q ' skipped '
}
wait_until 30 skips "$resting"
ok $? "a job that sleeps is not saved again" "$(history_of "$resting")"
[ "$(newest "$resting")" -le 3 ]
ok $? "it has $(newest "$resting") snapshots"
cluster exec n2 pgrep -u alice -x sleep >/dev/null
ok $? "and sleeps on"

for job in $working; do
	is "$(history_of "$job" | grep -c -e ' failed ' -e ' skipped ')" 0 \
		"of job $job, which works, none failed and none was skipped"
done
slurm scancel "$resting"
wait_until 30 has_ended "$resting"
ok $? "it can be cancelled"
done_testing
