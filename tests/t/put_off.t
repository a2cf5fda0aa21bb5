#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Retirement waits while another snapshot of the node is written: it would take
# a third of the disk's rate.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

echo 'Keep = 1' >>"$JOBCR_CONF"
exists() { # generation
	[ -e "store/local/$one/000000000$1/manifest" ]
}
gone() {
	! exists "$@"
}
begin() { # directory
	mkdir -p "$1"
	(cd "$1" && jobcr run --detach --output o.txt -- \
		sh -c "$(count_on 10)")
}
# writes, or not: another job's snapshot that is under way.
writes() {
	steps checkpoint "$two"
	step_to pages
}
writes_no_more() {
	while kill -0 "$asker" && echo >&9; do
		sleep 0.05
	done 2>/dev/null
	exec 9>&-
	wait "$asker"
}

start_daemon
one=$(begin one)
two=$(begin two)
jobcr checkpoint "$one" >log
writes
jobcr checkpoint "$one" >log
is "$?" 0 "a snapshot beside another one"
exists 1 && exists 2
result $? "the one before is not removed meanwhile"
sleep 2.5
exists 1
result $? "nor a little later"
writes_no_more
wait_for 10 gone 1
result $? "but when the other one is written"
exists 2
result $? "the newest stays"
[ -z "$(ls run | grep later-)" ]
result $? "nothing is left to be done"

# A job has no more than one too many.
writes
jobcr checkpoint "$one" >log
exists 2 && exists 3
result $? "it waits again"
jobcr checkpoint "$one" >log
gone 2 && gone 3 && exists 4
result $? "until the job has one more"
writes_no_more

# Without jobcrd the job's next snapshot does it.
stop_daemon
writes
jobcr checkpoint "$one" >log
writes_no_more
exists 4 && exists 5
result $? "without jobcrd it waits, too"
jobcr checkpoint "$one" >log
gone 4 && gone 5 && exists 6
result $? "for the next snapshot of its job"

# The worker of one that writes is killed.
start_daemon
writes
jobcr checkpoint "$one" >log
exists 6
result $? "it waits for one that is killed"
kill -KILL "$(workers_below "$daemon")"
writes_no_more
wait_for 10 gone 6
result $? "and no longer"
: >one/go
: >two/go
jobcr wait "$one"
jobcr wait "$two"
finish
