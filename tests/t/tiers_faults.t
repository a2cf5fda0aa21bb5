#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 of the flusher, of jobcrd, and of all, at random instants of a flush,
# and of the checkpoints before it.  What was saved gets to the store whole, and
# the job knows nothing of it.  ROUNDS (6), SEED,
# INCREMENTAL: as in jobcr.conf(5).
set -u
rounds=${ROUNDS:-6}
programs=$(cd "${top_builddir:-.}/tests" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
mkdir a fast
chown $alice a
cp "$programs/programs/checked" "$programs/lib/strike" .
# A flush takes half a second.
cat >>"$JOBCR_CONF" <<CONF
FastDir = "$tmp/fast"
Compression = "none"
MaxBandwidth = "32M"
CONF
[ -z "${INCREMENTAL:-}" ] ||
	echo "Incremental = \"$INCREMENTAL\"" >>"$JOBCR_CONF"
begin_random

progress=$tmp/a/progress
# The newest one that is whole in DIR.
newest() { # dir
	ls "$1/local/$job" 2>/dev/null | grep '^[0-9]*$' | tail -n 1
}
# Nothing of the fast directory is missing in the store.
settled() {
	for _dir in "$tmp/fast/local/$job"/0*; do
		[ -e "$_dir/flushed" ] || return 1
	done
}
pick_what() {
	random 3
	what=$(echo worker daemon all | cut -d' ' -f$((picked + 1)))
}
restart() {
	stop_daemon KILL
	start_daemon
}

start_daemon
job=$(cd a && as $alice "$top_builddir/jobcr" run --detach --output out \
	-- "$tmp/checked" progress)
wait_for 20 has_lines "$progress" 50
result $? "a job that checks itself runs"

# strike_flush MICROSECONDS WHAT
strike_flush() {
	rm -f run/jobcrd.sock
	"$top_builddir/jobcrd" --debug >>jobcrd.log 2>&1 &
	daemon=$!
	"$tmp/strike" $daemon "$2" "$1" >struck
	_late=$?
	wait_for 10 test -S run/jobcrd.sock || [ "$2" != none ]
	return $_late
}
save_alone "$job" >log 2>&1
result $? "it is saved"
strike_flush 0 none
length=$(cat struck)
wait_for 30 settled
result $? "a flush of it takes $((length / 1000)) ms"

n=0 middle=0
while [ $n -lt "$rounds" ]; do
	n=$((n + 1))
	pick_what
	{
		save_alone "$job"
		_saved=$?
	} >log 2>&1
	wanted=$(newest "$tmp/fast")
	random "$length"
	at=$picked
	strike_flush $at "$what" && middle=$((middle + 1))
	{
		echo "$what killed after $(cat struck) us"
		ls -l "$tmp/store/local/$job"/*
		restart && wait_for 30 settled &&
			[ "$(newest "$tmp/store")" = "$wanted" ] &&
			jobcr verify "$job.$(expr "$wanted" + 0)" &&
			cmp "$tmp/fast/local/$job/$wanted/manifest" \
				"$tmp/store/local/$job/$wanted/manifest" &&
			[ $_saved = 0 ] && more_lines "$progress" 5
	} >log 2>&1
	result $? "$what, at $(cat struck) us of a flush: $wanted is stored"
	rm -f log
done
echo "# $middle of $n in the middle of a flush"

# The checkpoint itself, and whatever comes behind it.
n=0
while [ $n -lt "$rounds" ]; do
	n=$((n + 1))
	pick_what
	random 300000
	before=$(newest "$tmp/store")
	"$tmp/strike" $daemon "$what" $picked >struck &
	_strike=$!
	"$top_builddir/jobcr" checkpoint "$job" >said 2>&1 &
	_asker=$!
	wait $_strike
	wait $_asker 2>/dev/null
	{
		echo "$what killed after $(cat struck) us:"
		cat said
		restart
		jobcr verify "$job" && more_lines "$progress" 5 &&
			wait_for 30 settled &&
			[ "$(newest "$tmp/store")" -ge "$before" ] &&
			jobcr verify "$job"
	} >log 2>&1
	result $? "$what, at $(cat struck) us: generation $(newest "$tmp/store")"
	rm -f log
done

jobcr kill "$job" KILL
jobcr wait "$job"
jobcr restore "$job" --detach >log 2>&1
result $? "the newest one is restored"
rm -f log
: >a/stop
jobcr wait "$job"
is "$?" 7 "the job ends, and has found nothing wrong"
is "$(cat a/out)" "" "nor said so"
borrowed=$(grep -c 'that are unchanged' "$tmp/store/local/$job/history")
echo "# $borrowed snapshots have memory in common with an older one"
[ -z "${INCREMENTAL:-}" ] || [ "$borrowed" -gt 0 ]
result $? "INCREMENTAL=${INCREMENTAL:-no} was tried"
finish
