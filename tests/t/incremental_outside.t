#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A process that is none of the job's writes to its memory, and its call lasts
# over a snapshot: what it writes then is in the next one.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

echo 'Incremental = "auto"' >>"$JOBCR_CONF"
if ! jobcr check | grep -q '^ok .*written-pages'; then
	echo "1..0 # SKIP the kernel cannot tell what was written"
	exit 0
fi

cat >job.py <<'PY'
import ctypes, mmap, time
pages, size = 4096, 4096
m = mmap.mmap(-1, pages * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
for i in range(pages):
    m[i * size] = 1
print(ctypes.addressof(ctypes.c_char.from_buffer(m)), flush=True)
while True:
    time.sleep(1)
PY

# "writev" or "mem", PID ADDRESS: the kernel finds the page that is to be
# written, and what is to be written there only when "go" is there.
cat >writer.py <<'PY'
import ctypes, mmap, os, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 4
how, pid, at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def ask(fd, request, *words):
    buffer = ctypes.create_string_buffer(struct.pack("<%dQ" % len(words),
                                                     *words))
    if libc.ioctl(fd, ctypes.c_ulong(request), buffer):
        sys.exit("ioctl: " + os.strerror(ctypes.get_errno()))
def page():
    return libc.mmap(None, 4096, 3, 0x22, -1, 0)
missing, there = page(), page()
ctypes.memset(there, ord("N"), 4096)
fd = libc.syscall(323, os.O_CLOEXEC)
ask(fd, 0xc018aa3f, 0xaa, 0, 0)
ask(fd, 0xc020aa00, missing, 4096, 1, 0)
def write():
    local, remote = (struct.pack("<QQ", a, 4096) for a in (missing, at))
    if how == "writev":
        n = libc.process_vm_writev(pid, local, 1, remote, 1, 0)
    else:
        mem = os.open("/proc/%d/mem" % pid, os.O_WRONLY)
        n = libc.pwrite(mem, ctypes.c_void_p(missing), 4096,
                        ctypes.c_long(at))
    print("written", n, flush=True)
thread = threading.Thread(target=write)
thread.start()
os.read(fd, 32)
print("middle", flush=True)
while not os.path.exists("go"):
    time.sleep(0.005)
ask(fd, 0xc028aa03, missing, there, 4096, 0, 0)
thread.join()
PY
# So much else that the next snapshot borrows from this one.
cat >more.py <<'PY'
import sys
with open("/proc/%s/mem" % sys.argv[1], "r+b", 0) as mem:
    for i in range(100, 1100):
        mem.seek(int(sys.argv[2]) + i * 4096)
        mem.write(b"x")
PY
number() { # what of the last answer
	python3 -c 'import json, sys
print(json.load(open("out")).get(sys.argv[1], 0))' "$1"
}
save() {
	jobcr checkpoint "$job" --json --leave-running >out 2>err
}
mostly_unchanged() {
	[ "$(number borrowed_bytes)" -gt 10000000 ]
}
cat >byte.py <<'PY'
import struct, sys
place = int(sys.argv[1])
core = open("core", "rb").read()
at, = struct.unpack_from("<Q", core, 32)
step, count = struct.unpack_from("<HH", core, 54)
for i in range(count):
    kind, _, offset, start, _, have, _, _ = struct.unpack_from(
        "<IIQQQQQQ", core, at + i * step)
    if kind == 1 and start <= place < start + have:
        print(chr(core[offset + place - start]))
PY
saved_byte() {
	jobcr core "$job" -o core --force >/dev/null
	python3 byte.py "$place"
}

try() { # how
	job=$(jobcr run --detach --output o.txt -- python3 job.py)
	wait_for 10 has_lines o.txt 1
	place=$(($(cat o.txt) + 4096 * 50))
	pid=$(jobcr list --json | python3 -c 'import json, sys
print(next(j["root_pid"] for j in json.load(sys.stdin)
           if j["job_id"] == sys.argv[1]))' "$job")
	save
	save
	mostly_unchanged
	result $? "the second snapshot has what was written"
	rm -f go
	python3 writer.py "$1" "$pid" "$place" >w.txt 2>&1 &
	writer=$!
	wait_for 10 grep -q middle w.txt
	python3 more.py "$pid" "$place"
	save
	is "$?" 0 "one that is made in the middle of another's $1"
	mostly_unchanged
	result $? "borrows as any other"
	touch go
	wait $writer
	grep -q "written 4096" w.txt
	result $? "when it has come to its end"
	save
	is "$(saved_byte)" N "what was written is in the next one"
	matches "$(number not_borrowed)" "process $writer, *none of the job*3" \
		"which has all, and says why"
	matches "$(jobcr history "$job")" "*all of it: process $writer, *" \
		"the history, too"
	save
	mostly_unchanged && [ "$(saved_byte)" = N ]
	result $? "the next is of it"
	jobcr kill "$job" KILL
	jobcr wait "$job"
	rm -f o.txt
}

try writev
try mem
finish
