#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A preempted batch job goes on at another node as if nothing had happened.
# ROUNDS=N repeats the scenario on one cluster.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}"

script job <<'EOT'
echo "begin"
progress 120 100 3 2 8
echo "progress ended with $?"
exit 7
EOT
undisturbed=$(submit job)

# one_round: submit, preempt, compare.
one_round() {
	job=$(submit --jobcr job)
	wait_until 30 printed "$job" 'round 15 of' ||
		bail "job $job does not run: $(cat "$home/$job.out")"
	first=$(field "$job" NodeList)
	preempt "$first" 3 >/dev/null
	wait_until 40 restarted "$job"
	ok $? "the preempted job is requeued and started again"
	second=$(field "$job" NodeList)
	[ "$first" != "$second" ]
	ok $? "it is on another node ($first, then $second)"
	wait_until 90 has_ended "$job"
	ok $? "it ends"
	is "$(field "$job" JobState)" FAILED "a non-zero exit is recorded"
	is "$(field "$job" ExitCode)" 7:0 "with the exit code of the script"
	is "$(field "$job" JobId)" "$job" "under the same job id"
	wait_until 90 has_ended "$undisturbed"
	cmp "$home/$undisturbed.out" "$home/$job.out" >/dev/null
	ok $? "the output is that of an undisturbed run, byte for byte" \
		"$(diff "$home/$undisturbed.out" "$home/$job.out")"
	! grep -q '^signal' "$home/$job.out"
	ok $? "no process of it saw a signal"
}

round=1
while [ $round -le "${ROUNDS:-1}" ]; do
	one_round
	round=$((round + 1))
done
done_testing
