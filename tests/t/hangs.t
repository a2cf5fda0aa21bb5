#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A store that hangs, as that of a file server which is gone: from any phase
# of a checkpoint on.  At its deadline the job goes on, jobcrd answers all the
# time, and when the store is back the next checkpoint is as any other.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"

store=$tmp/store
leave() {
	fsfreeze -u "$store" 2>/dev/null
	cd /
	umount -l "$store"
	clean_up
}
truncate -s 256M disk
if ! { mkfs.ext4 -q -F disk && mount -o loop disk "$store"; } >log 2>&1; then
	echo "1..0 # SKIP no file system can be mounted: $(tail -n 1 log)"
	exit 0
fi
trap leave EXIT
echo "Timeout = 3" >>"$JOBCR_CONF"

# Answer until the phase has begun; then the store hangs.
hang_at() {
	step_to "$1" && fsfreeze -f "$store"
}
# The phases behind it need no answers: the line is closed.
let_go() {
	while kill -0 $asker 2>/dev/null && echo >&9; do
		sleep 0.05
	done 2>/dev/null &
	_feeder=$!
	wait_for 20 test ! -d /proc/$asker
	_in_time=$?
	kill $_feeder 2>/dev/null
	exec 9>&-
	return $_in_time
}
# during PHASE HOW: the store hangs, the deadline comes, it is back.
during() {
	job=$(jobcr run --detach --output o.txt -- sh -c "$(count_to 100000)")
	wait_for 10 has_lines o.txt 10
	jobcr checkpoint "$job" --leave-running >log 2>&1
	steps checkpoint "$job" $2
	hang_at $1
	result $? "the store hangs from $1 on ($2)"
	let_go
	result $? "who waits is told in time: $(cat err)"
	more_lines o.txt
	result $? "the job goes on"
	timeout 5 "$top_builddir/jobcr" list >log 2>&1
	result $? "jobcrd answers"
	fsfreeze -u "$store"
	wait $asker 2>/dev/null
	jobcr verify "$job" >log 2>&1
	result $? "it is back, and the newest snapshot whole"
	wait_for 10 jobcr checkpoint "$job" --leave-running
	result $? "so is the next"
	jobcr kill "$job" KILL
	jobcr wait "$job"
}
start_daemon
for phase in preflight pages publish; do
	during $phase --leave-running
done
during publish --kill
finish
