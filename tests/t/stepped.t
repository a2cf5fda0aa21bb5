#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kill -9 of the worker, of who asked, and of jobcrd at each phase: the job
# goes on as if nothing had happened, and no half snapshot counts.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

phases="preflight freeze collect dump pages publish end"

goes_on() { # file what
	_now=$(lines "$1")
	wait_for 10 has_lines "$1" $((_now + 10))
	result $? "the job goes on: $2"
}

try() { # phase victim
	rm -f go
	job=$(jobcr run --detach --output o.txt -- sh -c "$(count_on 150)")
	wait_for 10 has_lines o.txt 5
	steps checkpoint "$job"
	if ! step_to "$1"; then
		result 1 "phase $1 is reached"
		cat err
	fi
	worker=$(worker_of "$asker")
	case $2 in
	worker) kill -KILL "$worker" ;;
	asker) kill -KILL "$asker" ;;
	esac
	exec 9>&-
	wait "$asker" 2>/dev/null
	goes_on o.txt "$2 killed at $1"
	wait_for 20 test ! -d "/proc/$worker"
	jobcr checkpoint "$job" >out 2>&1
	is "$?" 0 "and can be checkpointed"
	: >go
	jobcr wait "$job"
	is "$?" 6 "it ends as an undisturbed one"
	whole o.txt "$(cat end)"
	result $? "with its output whole"
}

for phase in $phases; do
	try $phase worker
done
for phase in freeze pages; do
	try $phase asker
done

# Signals are kept back while a checkpoint is under way, and come after it.
trapper='trap "echo term; exit 9" TERM
i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done'
for end in end killed; do
	job=$(jobcr run --detach --output s.txt -- sh -c "$trapper")
	wait_for 10 has_lines s.txt 5
	steps checkpoint "$job"
	step_to preflight
	jobcr kill "$job" TERM
	is "$?" 0 "a signal during a checkpoint is taken"
	n=$(lines s.txt)
	wait_for 10 has_lines s.txt $((n + 10))
	[ "$(tail -n 1 s.txt)" != term ]
	result $? "and kept back"
	jobcr checkpoint "$job" >out 2>second
	is "$?" 1 "a second checkpoint at the same time fails"
	matches "$(cat second)" "*under way*" "and says why"
	case $end in
	end) step_to end ;;
	killed) kill -KILL "$(worker_of "$asker")" ;;
	esac
	exec 9>&-
	wait "$asker"
	jobcr wait "$job"
	is "$?" 9 "it comes when the checkpoint is over ($end)"
done
job=$(jobcr run --detach --output s.txt -- sh -c "$trapper")
wait_for 10 has_lines s.txt 5
steps checkpoint "$job"
step_to pages
root=$(jobcr list --json | python3 -c 'import json, sys
print([j["root_pid"] for j in json.load(sys.stdin)
	if j["job_id"] == "'"$job"'"][0])')
jobcr kill "$job" KILL
wait_for 10 grep -q '^State:.[ZX]' "/proc/$root/status"
exec 9>&-
wait "$asker"
[ $? != 0 ]
result $? "a job that is killed meanwhile is not saved"
jobcr wait "$job"
is "$?" 137 "KILL is not kept back"
jobcr show "$job" >/dev/null 2>&1
is "$?" 4 "nothing of it counts as a snapshot"

# A restore whose worker dies leaves nothing, and can be tried again.
job=$(jobcr run --detach --output o.txt -- sh -c "$(count_to 100)")
wait_for 10 has_lines o.txt 20
jobcr checkpoint "$job" --kill >/dev/null
jobcr wait "$job" 2>/dev/null
for phase in build fill; do
	steps restore "$job" --detach
	step_to $phase
	result $? "a restore reaches $phase"
	kill -KILL "$(worker_of "$asker")"
	exec 9>&-
	wait "$asker"
	is "$?" 1 "its worker killed: failed"
	matches "$(jobcr list | grep "$job")" "*checkpointed*" "nothing runs"
	cp o.txt before
	sleep 0.2
	cmp -s o.txt before
	result $? "nothing writes"
done
jobcr restore "$job" >/dev/null
is "$?" 6 "the next restore succeeds"
whole o.txt 100
result $? "with the output whole"

# jobcrd: killed while its child works, the operation ends by itself.
start_daemon
for phase in freeze pages publish; do
	rm -f go
	job=$(jobcr run --detach --output d.txt -- sh -c "$(count_on 150)")
	wait_for 10 has_lines d.txt 5
	steps checkpoint "$job"
	step_to $phase
	result $? "through jobcrd: $phase is reached"
	stop_daemon KILL
	goes=0
	while kill -0 "$asker" 2>/dev/null && [ $goes -lt 20 ]; do
		echo >&9
		goes=$((goes + 1))
		sleep 0.05
	done 2>/dev/null
	exec 9>&-
	wait "$asker"
	is "$?" 0 "jobcrd killed at $phase: the checkpoint is made all the same"
	jobcr verify "$job" >/dev/null
	is "$?" 0 "and is whole"
	: >go
	start_daemon
	jobcr wait "$job"
	is "$?" 6 "the job ends as an undisturbed one"
	whole d.txt "$(cat end)"
	result $? "with its output whole"
done
finish
