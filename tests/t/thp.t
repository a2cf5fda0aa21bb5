#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory that was in huge pages is so again after a restore.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

cat >job.py <<'PY'
import mmap, os, time
m = mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_HUGEPAGE)
for i in range(0, len(m), 4096):
    m[i] = 1 + i // 4096 % 255
def huge():
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps")
               if line.startswith("AnonHugePages"))
print("before", huge(), flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
print("after", huge(), flush=True)
PY
job=$(jobcr run --detach --output out -- python3 job.py)
wait_for 20 grep -q before out
before=$(sed -n 's/^before //p' out)
if [ "$before" -lt 65536 ]; then
	count=$((count + 1))
	echo "ok $count # SKIP this kernel gave it $before KiB of huge pages"
	jobcr kill "$job" KILL
	finish
fi
jobcr checkpoint --kill "$job" >log 2>&1
result $? "a job in huge pages is saved"
jobcr restore --detach "$job" >log 2>&1
result $? "and restored"
: >go
wait_for 20 grep -q after out
matches "$(sed -n 's/^after //p' out)" "$before" "all is in huge pages"
finish
