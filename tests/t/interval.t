#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Local jobs that jobcrd saves by itself, again and again.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
mkdir a
chown $alice a
jobcr_a() {
	(cd a && as $alice "$top_builddir/jobcr" "$@")
}

jobcr run --interval=1s -- true 2>err
is "$?" 7 "without jobcrd there is nobody to do it"
matches "$(cat err)" "*--interval needs jobcrd*" "and that is said"
start_daemon
result $? "jobcrd listens"
jobcr_a run --interval=soon -- true 2>err
matches "$?$(cat err)" '[1-9]*interval "soon"*30m*' "a time that is none"

# Each step of it is seen from outside.
work=$(jobcr_a run --detach --interval=1s --output work.txt -- \
	sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); echo $i; done;
		while :; do sleep 0.01; done')
rest=$(jobcr_a run --detach --interval=1s -- sleep 3600)
# has_generation JOBID N: one with that number or a later one.
has_generation() {
	_last=$(ls "$tmp/store/local/$1" | grep '^0[0-9]*$' | tail -n 1)
	[ "${_last#0000000}" -ge "$2" ]
}
wait_for 40 has_generation "$work" 3
result $? "a job that works is saved every second"
skipped() {
	grep -q " skipped 1 " "$tmp/store/local/$rest/history"
}
wait_for 40 skipped
result $? "one that sleeps is saved once"
wait_for 40 has_generation "$work" 4
result $? "the other one again"
has_generation "$rest" 2
is "$?" 1 "but not the one that sleeps"
jobcr_a status --json "$work" >status.json
grep -q '"next_at_ns"' status.json
result $? "status tells when the next one is due"

# jobcrd is told nothing: it finds all it needs.
stop_daemon
start_daemon
wait_for 40 has_generation "$work" 7
result $? "a jobcrd that was restarted goes on with it"
has_generation "$rest" 2
is "$?" 1 "and knows that the other one sleeps"

# Not while it is being saved by itself.
wait_for 20 jobcr_a checkpoint --kill "$work"
result $? "the job is ended by a checkpoint"
jobcr_a restore --detach "$work" >/dev/null
is "$?" 0 "and restored"
last=$(ls "$tmp/store/local/$work" | grep '^0[0-9]*$' | tail -n 1)
wait_for 40 has_generation "$work" "$(expr "$last" + 2)"
result $? "restored it is saved every second, too"

jobcr_a kill "$work" KILL
jobcr_a wait "$work"
is "$?" 137 "the job can be killed"
jobcr_a kill "$rest" TERM
jobcr_a wait "$rest"
is "$?" 143 "so can the other"
is "$(grep 'not kept' "$tmp/jobcrd.log")" "" "Slurm is not asked about either"
matches "$(head -n 3 a/work.txt | tr '\n' ' ')" "1 2 3 " "it did its work"
# What has ended a week ago leaves nothing in RunDir.
runs=$(jobcr run --detach -- sleep 3600)
lost=$(jobcr run --detach -- sleep 3600)
supervisor=$(jobcr list --json | tr -d ' \n' |
	sed "s/.*\"job_id\":\"$lost\"[^}]*\"supervisor_pid\":\([0-9]*\).*/\1/")
kill -9 "$supervisor"
gone() {
	! kill -0 "$supervisor"
}
wait_for 10 gone
test -e "$tmp/run/jobs/$work/turn.lock" -a -e "$tmp/run/jobs/$lost/info.rec"
result $? "ended jobs leave files"
touch -d '8 days ago' "$tmp/run/jobs/$work/ended" \
	"$tmp/run/jobs/$lost"
touch -d '8 days ago' "$tmp/run/jobs/$runs"
jobcr run -- true
test ! -e "$tmp/run/jobs/$work" -a ! -e "$tmp/run/jobs/$lost/info.rec"
result $? "after a week they go"
test -e "$tmp/run/jobs/$runs/control"
result $? "those of a job that runs stay"
finish
