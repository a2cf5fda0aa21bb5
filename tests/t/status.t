#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What users and administrators are told about jobs: also of such whose
# supervisor is suspended, and by jobs that mean harm.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
bob=52002

supervisor() {
	jobcr list --json | tr -d ' ",' | awk -F: -v job="$1" '
		$1 == "job_id" { id = $2 }
		$1 == "supervisor_pid" && id == job { print $2 }'
}

start_daemon
result $? "jobcrd listens"
jobcr_as() {
	_who=$1
	shift
	as "$_who" "$top_builddir/jobcr" "$@"
}
one=$(jobcr_as $alice run --detach -- sleep 1000)
two=$(jobcr_as $bob run --detach -- sleep 1000)
for job in $one $two; do
	pid=$(supervisor "$job")
	pids="${pids:-} $pid"
	kill -STOP "$pid"
done
# shellcheck disable=SC2086
trap 'kill -CONT $pids 2>/dev/null; clean_up' EXIT
matches "$(jobcr list)" "*$one*suspended*$two*suspended*" \
	"jobs whose supervisors are stopped are listed, as suspended"
is "$(jobcr_as $alice list | grep -c local-)" 1 "to those who may see them"
jobcr_as $alice checkpoint "$one" >out 2>err
matches "$?$(cat err)" "8*suspended*" "a checkpoint of one says what to do"
# shellcheck disable=SC2086
kill -CONT $pids
matches "$(jobcr list)" "*$one*running*$two*running*" \
	"going on, they are running again"
finish
