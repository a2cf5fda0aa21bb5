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
jobcr_as $alice checkpoint "$one" >out 2>err
matches "$?$(cat err)" "8*suspended*" "a checkpoint of one says what to do"
# shellcheck disable=SC2086
kill -CONT $pids
matches "$(jobcr list)" "*$one*running*$two*running*" \
	"going on, they are running again"

# What is known of snapshots.
jobcr_as $alice checkpoint "$one" --leave-running >/dev/null
is $? 0 "a snapshot is made"
row=$(jobcr_as $alice status "$one" | tail -n 1)
matches "$row" "$one*running*1*MiB*s*" "the table has its number, size, cost"
is "$(jobcr status | grep -c local-)" 2 "the table of all has all"
is "$(jobcr_as $bob status | grep -c local-)" 1 "and for a user, theirs"
jobcr_as $bob status "$one" >/dev/null 2>&1
is $? 6 "another's job is not shown: 6"
# field NAME: of the JSON on standard input, by a path of names.
field() {
	python3 -c 'import json, sys
v = json.load(sys.stdin)
for k in sys.argv[1].split("."):
    v = v[int(k)] if k.isdigit() else v[k]
print(v)' "$1"
}
json=$(jobcr status "$one" --json)
is "$(echo "$json" | field 0.snapshot.generation)" 1 "JSON has it, too"
is "$(echo "$json" | field 0.snapshot.cause)" request "with its cause"
is "$(echo "$json" | field 0.state)" running "and the job's state"
is "$(echo "$json" | field 0.warnings)" "[]" "and no warnings"

# What is being done: a checkpoint that waits in a phase.
mkfifo steps
jobcr checkpoint "$two" --leave-running --step <steps >stepped &
stepper=$!
exec 8>steps
echo >&8
checkpointing() {
	jobcr status "$two" | grep -q checkpointing
}
in_phase() {
	[ -n "$(jobcr status "$two" --json | field 0.doing.phase)" ]
}
wait_for 20 in_phase
result $? "a checkpoint under way is shown with what it does just now"
checkpointing
result $? "in the table, too"
json=$(jobcr status "$two" --json)
is "$(echo "$json" | field 0.doing.what) $(echo "$json" |
	field 0.doing.cause)" "checkpoint request" "with its cause"
yes '' 2>/dev/null | head -n 100 >&8
exec 8>&-
wait $stepper
! checkpointing
result $? "when it is over, no more"

# Its history, and what another user and a terminal get of it.
noted "store/local/$one/history" " checkpoint "
matches "$(jobcr_as $alice history "$one")" \
	"*here  checkpoint  checkpoint for request: generation 1, *" \
	"the history has the checkpoint, and where it was"
is "$(jobcr history "$one" --json | field 0.event)" checkpoint \
	"so has JSON"
jobcr_as $bob history "$one" >/dev/null 2>err
is $? 6 "another's history is not shown: 6"
printf '5 n\033 evil 0 \033[2J\n6 n evil 0 \033]0;x\007\n' |
	as $alice tee -a "store/local/$one/history" >/dev/null
is "$(jobcr history "$one" | grep -c evil)" 2 "a user may add to his own"
is "$(jobcr history "$one" | tr -d '\n' | tr -dc '\000-\037' | wc -c)" 0 \
	"but nothing that commands a terminal"
jobcr history local-999 >/dev/null 2>err
is $? 4 "a job that was never saved has none: 4"

# Snapshots that are in the way.
jobcr_as $alice checkpoint "$one" --leave-running >/dev/null
jobcr_as $bob delete "$one" --force >/dev/null 2>&1
is $? 6 "nobody deletes another's snapshots: 6"
jobcr_as $alice delete "$one" >/dev/null 2>err
matches "$?$(cat err)" "1*may need*--force*" "a running job keeps its newest"
jobcr_as $alice delete "$one" --generation 2 >/dev/null 2>err
is $? 1 "also when it is named"
is "$(jobcr_as $alice delete "$one" --generation 1)" "1 snapshot deleted" \
	"an older one may go"
jobcr_as $alice delete "$one" --generation 1 >/dev/null 2>&1
is $? 4 "and is gone: 4"
jobcr verify "$one.2" >/dev/null
is $? 0 "the newest is whole"
jobcr_as $alice kill "$one" KILL
jobcr wait "$one" 2>/dev/null
is "$(jobcr_as $alice delete "$one")" "1 snapshot deleted" \
	"when it has ended, all may go"
noted "store/local/$one/history" "by uid $alice"
is "$(ls "store/local/$one")" history "its history stays"
matches "$(jobcr history "$one" | tail -n 1)" "*deleted*by uid $alice*" \
	"and says who did it"

# The store of all hangs or is away: status does not.
mv store away
timeout 20 "$top_builddir/jobcr" status >out
is $? 0 "without a store jobs are shown all the same"
mv away store
finish
