#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcr diff says what has become of a job between two snapshots, and nothing
# of what is as it was.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

# Changes 3 of its 1024 pages, a file, a process, threads and a mapping.
cat >job.py <<'PY'
import mmap, os, subprocess, threading, time
m = mmap.mmap(-1, 4 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
for i in range(0, len(m), 4096):
    m[i] = 1 + i // 4096 % 255
first = subprocess.Popen(["sleep", "1000"])
shared = mmap.mmap(-1, 65536)
shared[0] = 1
log = open("log", "w")
log.write("one\n")
log.flush()
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
first.kill()
first.wait()
second = subprocess.Popen(["tail", "-f", "/dev/null"])
for page in (0, 500, 1000):
    m[page * 4096] = 0x77
shared[0] = 2
new = mmap.mmap(-1, 3 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
new[5] = 9
log.write("twelve bytes")
log.flush()
extra = open("job.py")
threading.Thread(target=time.sleep, args=(1000,)).start()
print("done", flush=True)
time.sleep(1000)
PY
job=$(jobcr run --detach --output o.txt -- python3 job.py)
wait_for 20 grep -q ready o.txt
jobcr checkpoint "$job" --leave-running >log 2>&1
result $? "a job is saved"
: >go
wait_for 20 grep -q done o.txt
jobcr checkpoint "$job" --leave-running >log 2>&1
result $? "and again when it has changed"
jobcr diff "$job.1" "$job.2" >diff 2>&1
result $? "the two are compared"
cp diff log
has() { # pattern message
	grep -q -e "$1" diff
	result $? "$2"
}
has '^  - [0-9]* sleep, 1 thread$' "a process is gone"
has '^  + [0-9]* tail, 1 thread$' "another has appeared"
has '^  ~ [0-9]* python3, 2 threads, were 1$' "one has another thread"
has "^  ~ $tmp/log: at 16, was at 4$" "a file has grown"
has "^  + $tmp/job.py: " "one was opened"
has '^Memory that is shared.*differ' "shared memory differs"
has '^  + [0-9]* .* rw- anonymous: .*4.0 KiB appeared' "a mapping has appeared"
grep -q '^  [-+~] [0-9]* .* /usr/bin/\(sleep\|tail\): ' diff
is $? 1 "mappings of the processes that are on one side are not listed"
jobcr diff "$job.1" "$job.2" --json >out.json &&
	python3 - >log 2>&1 <<'PY'
import json
d = json.load(open("out.json"))
assert d["before"]["generation"] == 1 and d["after"]["generation"] == 2
assert sorted(p["change"] for p in d["processes"]) == \
    ["appeared", "changed", "gone"], d["processes"]
assert d["memory"]["changed"] >= 3 * 4096, d["memory"]
# Runs of a MiB are compared: three of four, and what the interpreter wrote.
for one in d["mappings"]:
    if one["bytes"]["same"] == 1 << 20 and one["bytes"]["changed"] == 3 << 20:
        break
else:
    raise AssertionError(d["mappings"])
log = [f for f in d["files"] if f["path"].endswith("/log")][0]
assert (log["position"], log["was_position"]) == (16, 4), log
where = [m for m in d["mappings"] if "libc.so" in m["what"]]
assert not [m for m in where if m["change"] == "changed" and
            m["end"] - m["start"] < m["bytes"]["changed"]], where
PY
result $? "--json says the same"
jobcr diff "$job.2" "$job.1" >log && grep -q '^  + [0-9]* sleep' log &&
	grep -q 's before$' log
result $? "the other way round, too"
jobcr diff "$job.2" "$job.2" >log
is "$(grep -c '^  [-+~]' log)" 0 "nothing differs from itself"
jobcr diff "$job.1" "$job.9" >log 2>&1
is "$?" 4 "one that is not there: 4"
jobcr diff "$job.1" >log 2>&1
is "$?" 2 "two are wanted"
page=store/local/$job/0000000002/here.meta
printf 'X' | dd of="$page" bs=1 seek=300 conv=notrunc 2>/dev/null
jobcr diff "$job.1" "$job.2" >log 2>&1
is "$?" 5 "a damaged one: 5"
jobcr kill "$job" KILL
finish
