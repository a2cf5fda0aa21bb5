#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 of the worker, of jobcrd, and of all, at random instants of
# checkpoints and of the retirement behind them.  After each the job runs on,
# or has ended with a snapshot; the newest generation is whole, and restores.
# ROUNDS (8), SEED, INCREMENTAL: as in jobcr.conf(5).
set -u
rounds=${ROUNDS:-8}
programs=$(cd "${top_builddir:-.}/tests" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
mkdir a
chown $alice a
cp "$programs/programs/checked" "$programs/lib/strike" .
[ -z "${INCREMENTAL:-}" ] ||
	echo "Incremental = \"$INCREMENTAL\"" >>"$JOBCR_CONF"
begin_random

progress=$tmp/a/progress
newest() {
	ls "$tmp/store/local/$job" | grep '^[0-9]*$' | tail -n 1
}
state() {
	jobcr list | awk -v job="$job" '$1 == job { print $3 }'
}
# Whichever comes first: it runs, or a checkpoint has ended it.
settles() {
	_now=$(($(lines "$progress") + 5))
	for _try in 1 2 3 4 5 6 7 8 9 10; do
		wait_for 1 has_lines "$progress" $_now && return 0
		[ "$(state)" != checkpointed ] || return 0
	done
	return 1
}
come_back() {
	if [ "$(state)" != checkpointed ]; then
		jobcr kill "$job" KILL && jobcr wait "$job"
	fi
	jobcr restore "$job" --detach
}

# strike_at MICROSECONDS WHAT HOW: 1: the worker had ended by itself.
strike_at() {
	"$tmp/strike" $daemon $2 $1 >struck &
	_strike=$!
	"$top_builddir/jobcr" checkpoint "$job" $3 >said 2>&1 &
	_asker=$!
	wait $_strike
	_late=$?
	wait $_asker 2>/dev/null
	if [ $2 = daemon ] || [ $2 = all ]; then
		wait $daemon 2>/dev/null
		start_daemon
	fi
	return $_late
}

start_daemon
job=$(cd a && as $alice "$top_builddir/jobcr" run --detach --output out \
	-- "$tmp/checked" progress)
wait_for 20 has_lines "$progress" 50
result $? "a job that checks itself runs"
strike_at 0 none --leave-running
strike_at 0 none --leave-running
length=$(cat struck)
[ -n "$(newest)" ] && [ "$length" -gt 0 ]
result $? "a worker of its checkpoints lives $((length / 1000)) ms"

n=0 middle=0
while [ $n -lt "$rounds" ]; do
	n=$((n + 1))
	random 3
	what=$(echo worker daemon all | cut -d' ' -f$((picked + 1)))
	random 3
	how=--leave-running
	[ $picked -gt 0 ] || how=--kill
	random $((length + length / 10))
	# Retirement is short, and comes last.
	[ $((n % 4)) != 0 ] || picked=$((length * 9 / 10 + picked / 5))
	before=$(newest)
	strike_at $picked $what $how && middle=$((middle + 1))
	{
		echo "$what killed, $how, after $(cat struck) us:"
		cat said
		settles && [ "$(newest)" -ge "$before" ] &&
			jobcr verify "$job" && come_back &&
				more_lines "$progress" 5
	} >log 2>&1
	result $? "$what, $how, at $(cat struck) us: generation $(newest)"
	rm -f log
done
echo "# $middle of $n in the middle of a checkpoint"

jobcr checkpoint "$job" --leave-running >log 2>&1
is "$(ls "$tmp/store/local/$job" | grep '^[0-9]' | grep -c .)" 2 \
	"one more checkpoint tidies up: $(ls "$tmp/store/local/$job" | xargs)"
: >a/stop
jobcr wait "$job"
is "$?" 7 "the job ends, and has found nothing wrong"
is "$(cat a/out)" "" "nor said so"
whole=$(awk '$1 != NR { bad = 1 } END { print bad + 0 }' "$progress")
is "$whole" 0 "each number is there once: $(lines "$progress")"
borrowed=$(grep -c 'that are unchanged' "$tmp/store/local/$job/history")
echo "# $borrowed snapshots have memory in common with an older one"
[ -z "${INCREMENTAL:-}" ] || [ "$borrowed" -gt 0 ]
result $? "INCREMENTAL=${INCREMENTAL:-no} was tried"
finish
