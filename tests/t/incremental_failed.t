#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What was written before an attempt that failed is written still: the next
# snapshot has all of it, and no more than that.  Where nobody knows, as the
# worker was killed, it has all memory and says why.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
built=$(cd "${top_builddir:-.}" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

echo 'Incremental = "auto"' >>"$JOBCR_CONF"
echo 'Compression = "none"' >>"$JOBCR_CONF"
store=$tmp/store
leave() {
	umount "$store" 2>/dev/null
	clean_up
}
trap leave EXIT
if ! jobcr check | grep -q '^ok .*written-pages'; then
	echo "1..0 # SKIP the kernel cannot tell what was written"
	exit 0
fi
if ! mount -t tmpfs -o size=160m none "$store" 2>log; then
	echo "1..0 # SKIP no tmpfs can be mounted: $(cat log)"
	exit 0
fi

# Each turn changes other pages, and a mapping comes and goes; all of it adds
# up to what it answers.
cat >job.py <<'PY'
import ctypes, mmap, os, time
pages, size = 4096, 4096
def anonymous(count):
    m = mmap.mmap(-1, count * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    m.madvise(mmap.MADV_NOHUGEPAGE)
    for i in range(count):
        m[i * size] = 1
    return m
m, other = anonymous(pages), anonymous(512)
print(ctypes.addressof(ctypes.c_char.from_buffer(m)), file=open("place", "w"))
turn = 0
while True:
    print(turn, sum(m[i * size] for i in range(pages)), flush=True)
    turn += 1
    while not os.path.exists("do.%d" % turn):
        time.sleep(0.005)
    for i in range(turn, pages, 128):
        m[i * size] = (m[i * size] + turn) % 251
    other = anonymous(512 + turn)
PY
turn=0
change() {
	turn=$((turn + 1))
	touch do.$turn
	wait_for 20 grep -q "^$turn " o.txt
}
number() { # what of the last answer
	python3 -c 'import json, sys
print(json.load(open("out")).get(sys.argv[1], 0))' "$1"
}
save() { # options
	jobcr checkpoint "$job" --json "$@" >out 2>err
}
mostly_unchanged() {
	[ "$(number borrowed_bytes)" -gt 14000000 ] &&
		[ "$(number page_bytes)" -lt 14000000 ]
}
# The memory that the snapshot has adds up to the job's answer.
cat >sum.py <<'PY'
import struct
pages, size = 4096, 4096
place = int(open("place").read())
core = open("core", "rb").read()
at, = struct.unpack_from("<Q", core, 32)
step, count = struct.unpack_from("<HH", core, 54)
for i in range(count):
    kind, _, offset, start, _, have, _, _ = struct.unpack_from(
        "<IIQQQQQQ", core, at + i * step)
    if kind == 1 and start <= place < start + have:
        offset += place - start
        print(sum(core[offset + k * size] for k in range(pages)))
PY
is_whole() {
	jobcr core "$job" -o "$tmp/core" --force >/dev/null
	grep -qx "$(tail -n 1 o.txt | cut -d' ' -f2)" <<-E
		$(python3 sum.py)
	E
}
no_room() {
	dd if=/dev/zero of="$store/filler" bs=4k 2>/dev/null
	save --leave-running
	_r=$?
	rm "$store/filler"
	return $_r
}

job=$(jobcr run --detach --output o.txt -- python3 job.py)
wait_for 10 grep -q "^0 " o.txt
no_room
is "$?" 1 "the first attempt fails"
change
save --leave-running
is "$? $(number borrowed_bytes) $(number not_borrowed)" "0 0 0" \
	"the first snapshot has all, of which nothing needs to be said"
change
save --leave-running
mostly_unchanged
result $? "the second has what was written"
for i in 1 2 3; do
	change
	no_room
	is "$?" 1 "an attempt fails"
done
change
save --leave-running
mostly_unchanged
result $? "the next one has what was written since the last snapshot"
is_whole
result $? "and so all of it"
change
save --leave-running
mostly_unchanged && is_whole
result $? "as does the one behind it"

change
steps checkpoint "$job"
step_to publish
result $? "an attempt is under way"
kill -KILL "$(worker_of "$asker")"
exec 9>&-
wait "$asker" 2>/dev/null
no_room
is "$?" 1 "its worker is killed, and the next attempt fails, too"
change
save --leave-running
is "$?" 0 "the job is saved"
is "$(number borrowed_bytes)" 0 "all of it, since nobody knows better,"
matches "$(number not_borrowed)" "*since generation 4 *an attempt*" \
	"and it says why"
matches "$(jobcr history "$job")" "*all of it: *since generation 4 *" \
	"the history, too"
change
save --leave-running
mostly_unchanged && is_whole
result $? "the next is of it"
jobcr kill "$job" KILL
jobcr wait "$job"
finish
