#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Breakpoints of a tracer in a job: refused, unless asked for at the checkpoint
# and at the restore.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

type=/sys/bus/event_source/devices/uprobe/type
if [ ! -r "$type" ]; then
	echo "1..0 # SKIP this kernel has no uprobes"
	exit 0
fi

# A tracer of getppid() in a process, until a file is there.
cat >tracer.py <<'PY'
import ctypes, os, struct, sys, time

pid, kind = int(sys.argv[1]), int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)

def place():
	at = ctypes.cast(libc.getppid, ctypes.c_void_p).value
	for line in open("/proc/self/maps"):
		part = line.split()
		low, high = (int(x, 16) for x in part[0].split("-"))
		if low <= at < high:
			return part[5], at - low + int(part[2], 16)

path, offset = place()
name = ctypes.create_string_buffer(path.encode())
attr = struct.pack("<IIQQQQQIIQQ", kind, 112, 0, 0, 0, 0, 0, 0, 0,
	ctypes.addressof(name), offset)
attr = ctypes.create_string_buffer(attr.ljust(112, bytes(1)), 112)
fd = libc.syscall(298, attr, pid, -1, -1, 8)
if fd < 0:
	sys.exit("perf_event_open: " + os.strerror(ctypes.get_errno()))
open("tracing", "w").close()
for turn in range(6000):
	if os.path.exists("enough"):
		break
	time.sleep(0.01)
PY

job=$(jobcr run --detach --output o.txt -- python3 -c '
import os, time
n = 0
while True:
	os.getppid()
	n += 1
	print(n, flush=True)
	time.sleep(0.02)
')
wait_for 10 has_lines o.txt 3
pid=$(jobcr list --json | python3 -c '
import json, sys
print(json.load(sys.stdin)[0]["root_pid"])')
python3 tracer.py "$pid" "$(cat "$type")" 2>err &
tracer=$!
if ! wait_for 10 test -e tracing; then
	echo "1..0 # SKIP no uprobe: $(cat err)"
	jobcr kill "$job" KILL
	exit 0
fi
wait_for 10 grep -q uprobes "/proc/$pid/maps"
result $? "a job has come upon a breakpoint"

jobcr checkpoint "$job" 2>err
is "$?" 3 "its checkpoint is refused"
matches "$(cat err)" "*uprobes*--allow-uprobes*" "by name, with what to do"
touch enough
wait $tracer
jobcr checkpoint "$job" 2>err
is "$?" 3 "so it is when the tracer has ended"
jobcr checkpoint "$job" --kill --allow-uprobes >out 2>err
is "$?" 0 "but not when asked for: $(cat err)"

jobcr restore "$job" --detach 2>err
is "$?" 3 "a restore refuses it"
matches "$(cat err)" "*breakpoints of a tracer*--allow-uprobes*" "by name"
before=$(lines o.txt)
jobcr restore "$job" --detach --allow-uprobes >out 2>err
is "$?" 0 "but not when asked for: $(cat err)"
wait_for 10 has_lines o.txt $((before + 5))
result $? "the job goes on"
jobcr checkpoint "$job" --kill >out 2>err
is "$?" 0 "and has no breakpoints any more: $(cat err)"
jobcr restore "$job" --detach >out 2>err
is "$?" 0 "nor need they be allowed then: $(cat err)"
jobcr kill "$job" KILL
finish
