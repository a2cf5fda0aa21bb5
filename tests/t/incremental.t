#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Generations that save only what was written since the one before, as users
# and administrators see them.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
echo 'Incremental = "auto"' >>"$JOBCR_CONF"

# Its memory changes when it is told to: "PAGES NUMBER" makes that many pages,
# evenly spread, hold a number.  It answers with what all of it adds up to.
cat >job.py <<'PY'
import mmap, os, sys, time
pages = 8192
size = 4096
m = mmap.mmap(-1, pages * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
for i in range(pages):
    m[i * size] = 1
turn = 0
while True:
    print(turn, sum(m[i * size] for i in range(pages)), flush=True)
    turn += 1
    while not os.path.exists("do.%d" % turn):
        time.sleep(0.005)
    count, number = (int(x) for x in open("do.%d" % turn).read().split())
    if count == 0:
        sys.exit(number)
    for i in range(0, pages, pages // count):
        m[i * size] = number
PY
turn=0
change() { # pages number
	turn=$((turn + 1))
	echo "$1 $2" >do.tmp
	mv do.tmp do.$turn
	wait_for 20 grep -q "^$turn " o.txt
}
number() { # what of the last answer
	python3 -c 'import json, sys
print(json.load(open("out")).get(sys.argv[1], 0))' "$1"
}
save() { # options
	jobcr checkpoint "$job" --json "$@" >out
}
mostly_unchanged() {
	[ "$(number borrowed_bytes)" -gt 30000000 ] &&
		[ "$(number page_bytes)" -lt 20000000 ]
}

# A kernel without userfaultfd cannot tell what was written.
cat >older.py <<'PY'
import ctypes, os, struct, sys
code = b"".join(struct.pack("<HBBI", *i) for i in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 323), (0x06, 0, 0, 0x50000 | 38),
    (0x06, 0, 0, 0x7fff0000)))
filters = ctypes.create_string_buffer(code)
program = struct.pack("<HxxxxxxQ", 4, ctypes.addressof(filters))
if ctypes.CDLL(None, use_errno=True).prctl(22, 2, program, 0, 0):
    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
PY
older() {
	timeout 60 python3 older.py "$top_builddir/jobcr" "$@"
}
job=$(jobcr run --detach --output o.txt -- python3 job.py)
wait_for 10 grep -q "^0 " o.txt
for i in 1 2 3; do
	older checkpoint "$job" --leave-running --json >out 2>log &&
		grep -q '"not_borrowed".*the kernel cannot tell' out
	result $? "an older kernel's answer says why all is saved"
done
noted "store/local/$job/history" 'checkpoint.*generation 3'
is "$(grep -c 'the kernel cannot tell' "store/local/$job/history")" 1 \
	"the history says it once"
jobcr kill "$job" KILL
jobcr wait "$job" 2>/dev/null
rm -f o.txt
job=$(jobcr run --detach --output o.txt -- python3 job.py)
wait_for 10 grep -q "^0 " o.txt
save --leave-running
is "$?" 0 "a job is checkpointed"
if ! jobcr check | grep -q '^ok .*written-pages'; then
	jobcr kill "$job" KILL
	echo "1..$count # the kernel cannot tell what was written"
	exit 0
fi
is "$(number borrowed_bytes)" 0 "the first generation has all"
change 64 2
save --leave-running
is "$?" 0 "again, when it has written to some of its memory"
mostly_unchanged
result $? "the second has what was written"
matches "$(jobcr show "$job")" "*Memory: *, of which earlier ones had *" \
	"which is shown"
matches "$(jobcr show "$job")" "*pages.0@1*of generation 1*" "by its files"
jobcr verify "$job" >/dev/null
is "$?" 0 "it is whole"

cat >sum.py <<'PY'
import struct
pages, size = 8192, 4096
core = open("core", "rb").read()
at, = struct.unpack_from("<Q", core, 32)
step, count = struct.unpack_from("<HH", core, 54)
for i in range(count):
    kind, _, offset, _, _, have, _, _ = struct.unpack_from(
        "<IIQQQQQQ", core, at + i * step)
    if kind == 1 and have >= pages * size:
        print(sum(core[offset + k * size] for k in range(pages)))
PY
jobcr core "$job" -o core >/dev/null
is "$(python3 sum.py)" "$(tail -n 1 o.txt | cut -d' ' -f2)" \
	"a core of it has memory from all generations"
rm core
jobcr export "$job" -o x.tar >/dev/null
mkdir there
sed "s|$tmp/store|$tmp/there|; s|$tmp/run|$tmp/run2|" "$JOBCR_CONF" >there.conf
timeout 60 "$top_builddir/jobcr" --config "$tmp/there.conf" import x.tar \
	--user root >/dev/null &&
	timeout 60 "$top_builddir/jobcr" --config "$tmp/there.conf" verify \
		"$job" >/dev/null
result $? "also in another store, by an archive"
rm x.tar

# By itself: it needs none of the others.
change 32 3
save --leave-running
mostly_unchanged
result $? "so does the third"
jobcr delete "$job" --generation 2 --force >/dev/null
jobcr verify "$job" >/dev/null
is "$?" 0 "which is whole without those before it"

# Without the one before all is saved.
change 16 4
jobcr delete "$job" --generation 3 --force >/dev/null
save --leave-running
is "$(number borrowed_bytes)" 0 "where the one before is gone, all is saved"
is "$(number not_borrowed)" "generation 3 is gone" "and it says why"
noted "store/local/$job/history" "all of it"
matches "$(jobcr history "$job")" "*all of it: generation 3 is gone*" \
	"the job's history, too"
change 16 5
save --leave-running
mostly_unchanged
result $? "and the next is of it"

# A preflight takes nothing away, nor does a checkpoint into a directory.
jobcr check "$job" >/dev/null
change 8 6
save --leave-running
mostly_unchanged
result $? "a preflight in between takes nothing away"

change 8 7
was=$(tail -n 1 o.txt)
save --kill
is "$?" 0 "the last one ends it"
mostly_unchanged
result $? "and has what was written, too"
saved=$(($(number borrowed_bytes) + $(number page_bytes)))
jobcr wait "$job" 2>/dev/null
jobcr restore "$job" --detach --json >out
is "$?" 0 "it is restored"
is "$(number page_bytes)" "$saved" "with as much memory as was saved"
change 1 1
is "$(($(tail -n 1 o.txt | cut -d' ' -f2) + 6))" "$(echo "$was" | cut -d' ' -f2)" \
	"with all of its memory"

# Off.
save --leave-running
mostly_unchanged
result $? "a restored job goes on with its chain"
watched() {
	grep -q '^VmFlags:.* uw' /proc/$(jobcr list --json | python3 -c \
		'import json, sys
print(next(j["root_pid"] for j in json.load(sys.stdin) if j["job_id"] ==
      sys.argv[1]))' "$job")/smaps
}
watched
result $? "its memory is watched"
sed -i '/^Incremental/d' "$JOBCR_CONF"
save --leave-running
is "$(number borrowed_bytes)" 0 "by default all is saved each time"
watched
is "$?" 1 "and nothing is watched any more"
change 0 9
jobcr wait "$job"
is "$?" 9 "the job ends as an undisturbed one"
# Two halves of a mapping that are moved one after the other, with a snapshot
# in between, are one mapping again, and nobody watches it.
cat >moved.py <<'PY'
import ctypes, os, time
half = 2048 * 4096
libc = ctypes.CDLL(None)
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 4
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
                        ctypes.c_int, ctypes.c_void_p]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def await_word(turn):
    print(turn, flush=True)
    while not os.path.exists("move.%d" % turn):
        time.sleep(0.005)
m = libc.mmap(None, 2 * half, 3, 0x22, -1, 0)
libc.madvise(m, 2 * half, 15) # MADV_NOHUGEPAGE
to = libc.mmap(None, 4 * half, 0, 0x4022, -1, 0) + half
ctypes.memset(m, 1, 2 * half)
await_word(1)
libc.mremap(m, half, half, 3, to)
await_word(2)
libc.mremap(m + half, half, half, 3, to + half)
ctypes.memset(to, 2, 1)
await_word(3)
ctypes.memset(to, 3, 1)
await_word(4)
print("is", ctypes.string_at(to, 1)[0], flush=True)
PY
echo 'Incremental = "auto"' >>"$JOBCR_CONF"
job=$(jobcr run --detach --output p.txt -- python3 moved.py)
for turn in 1 2 3; do
	wait_for 20 grep -q "^$turn$" p.txt
	save --leave-running
	touch move.$turn
done
wait_for 20 grep -q "^4$" p.txt
save --kill
[ "$(number borrowed_bytes)" -gt 10000000 ]
result $? "memory that has been moved is watched where it is"
jobcr wait "$job" 2>/dev/null
touch move.4
jobcr restore "$job" --detach >/dev/null
jobcr wait "$job"
is "$(tail -n 1 p.txt)" "is 3" "and is what it was when it is restored"
finish
