#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcr check JOBID: all that stands in the way of a checkpoint, in words and as
# JSON, of a job that goes on.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

# field EXPRESSION: of the JSON object d in the file out.
field() {
	python3 -c "import json; d = json.load(open('out')); print($1)"
}

job=$(jobcr run --detach -- sleep 1000)
jobcr check "$job" >out
is "$?" 0 "nothing in the way: 0"
is "$(cat out)" "$job: nothing stands in the way of a checkpoint" "which it says"
jobcr check "$job" --json >out
is "$?" 0 "so does --json"
is "$(field 'd["job_id"], d["possible"], d["blockers"], d["blockers_total"]')" \
	"$job True [] 0" "which has nothing to list"
is "$(field '"reason" in d')" False "and no reason"
jobcr kill "$job" KILL

# A socket to the kernel and, in another process, a file about its memory.
job=$(jobcr run --detach --output o.txt -- python3 -c '
import os, socket, time
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
os.dup2(s.fileno(), 33)
s.close()
if os.fork() == 0:
	maps = open("/proc/self/maps")
print("ready", flush=True)
n = 0
while True:
	time.sleep(0.02)
	n += 1
	print(n, flush=True)
')
wait_for 10 grep -q ready o.txt
wait_for 10 grep -q 3 o.txt
jobcr check "$job" >out 2>err
is "$?" 3 "two things in the way: 3"
matches "$(cat err)" "* 33 *python3*" "with descriptor and program"
matches "$(cat err)" "* -> *" "and what to do"
is "$(cat out)" "" "nothing of that on the standard output"
jobcr check --json "$job" >out 2>err
is "$?" 3 "as JSON: 3"
is "$(cat err)" "" "nothing on the standard error then"
is "$(field 'd["possible"], d["blockers_total"], len(d["blockers"])')" \
	"False 2 2" "both are listed"
is "$(field 'len({b["pid"] for b in d["blockers"]})')" 2 \
	"each with its process"
is "$(field '33 in [b["fd"] for b in d["blockers"]]')" True "and descriptor"
is "$(field 'all(b["what"] and b["remedy"] and b["command"] == "python3"
	for b in d["blockers"])')" True "what it is, whose, and what to do"
is "$(field 'bool(d["reason"])')" True "the reason in one sentence"
before=$(lines o.txt)
wait_for 10 has_lines o.txt $((before + 5))
result $? "the job has not noticed"
jobcr kill "$job" KILL

jobcr check local-999 --json >out 2>err
is "$?" 4 "an unknown job: 4"
is "$(cat out)" "" "of which no JSON speaks"
jobcr check --json >out 2>err
is "$?" 2 "--json needs a job"
jobcr check a b >out 2>err
is "$?" 2 "and there is one only"
finish
