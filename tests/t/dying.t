#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job that a checkpoint ends, and whose processes do not die for a long time
# when they are killed: as those that hang in the kernel on their way out, here
# in a freezer.  The snapshot is durable by then, and stays.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"

mkdir freezer
if ! mount -t cgroup -o freezer none freezer 2>log; then
	echo "1..0 # SKIP no freezer of version 1: $(tail -n 1 log)"
	exit 0
fi
cold=$tmp/freezer/jobcr-test-$$
mkdir "$cold"
leave() {
	echo THAWED >"$cold/freezer.state"
	cd /
	wait_for 10 rmdir "$cold"
	umount "$tmp/freezer"
	clean_up
}
trap leave EXIT

root_pid() {
	jobcr list --json | python3 -c 'import json, sys
print(next(j["root_pid"] for j in json.load(sys.stdin) if j["job_id"] ==
      sys.argv[1]))' "$job"
}

job=$(jobcr run --detach --output o.txt -- python3 -c 'import threading, time
for i in range(4):
    threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
n = 0
while True:
    print(n, flush=True)
    n += 1
    time.sleep(0.02)')
wait_for 10 has_lines o.txt 10
pid=$(root_pid)
# The last answer comes when all are frozen; from there on the line is closed.
steps checkpoint "$job" --kill
step_to end
result $? "a job is saved, and is to end"
echo "$pid" >"$cold/cgroup.procs" && echo FROZEN >"$cold/freezer.state"
result $? "it cannot die"
echo >&9
exec 9>&-
wait_for 20 test ! -d /proc/$asker
result $? "who waits is told, for all threads at once: $(cat err)"
wait $asker
is "$?" 0 "that it is saved"
[ -d "/proc/$pid" ]
result $? "while it is there still"
jobcr verify "$job" >log 2>&1
result $? "the snapshot is there, and whole"
echo THAWED >"$cold/freezer.state"
wait_for 10 test ! -d "/proc/$pid"
result $? "then it dies"
jobcr wait "$job" >log 2>&1
jobcr restore "$job" --detach >log 2>&1
result $? "it is restored"
n=$(lines o.txt)
wait_for 10 has_lines o.txt $((n + 10)) && cp o.txt seen &&
	whole seen "$(lines seen)"
result $? "and goes on where it was"
finish
