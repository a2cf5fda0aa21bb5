#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a store damages is not borrowed from: a job never ends with a snapshot
# that cannot be restored, and none goes on over damage that could be seen.
set -u
if [ "$(id -u)" = 0 ] && [ -z "${JOBCR_MOUNTS:-}" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
spoil=$(cd "${top_srcdir:-.}" && pwd)/tests/lib/spoil.py
. "${top_srcdir:-.}/tests/lib/jobs.sh"
. "${top_srcdir:-.}/tests/lib/flip.sh"
leave() {
	umount "$tmp/store" 2>/dev/null
	clean_up
}
trap leave EXIT
cat >>"$JOBCR_CONF" <<CONF
Incremental = "auto"
Keep = 30
Compression = "none"
CONF

cat >job.py <<'PY'
import hashlib, mmap, os, time
pages = 4096
m = mmap.mmap(-1, pages * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
for i in range(pages):
    m[i * 4096:(i + 1) * 4096] = os.urandom(4096)
was = hashlib.sha256(m).digest()
n = 0
while True:
    if hashlib.sha256(m).digest() != was:
        print("is another", flush=True)
    n += 1
    print(n, flush=True)
    time.sleep(0.05)
PY
number() { # what of the last answer
	python3 -c 'import json, sys
print(json.load(open("out")).get(sys.argv[1], 0))' "$1"
}
save() { # options
	jobcr checkpoint "$job" --json "$@" >out
}
begin() {
	job=$(jobcr run --detach --output o.txt -- python3 job.py)
	wait_for 20 has_lines o.txt 1
	save --leave-running
	generation=$(number generation)
}
generation_dir() { # generation
	printf '%s/store/local/%s/%010d' "$tmp" "$job" "$1"
}
# One byte in the middle of what it has written itself.
damage() { # generation [bytes from the begin]
	flip "$(generation_dir "$1")/here.pages.0" ${2:+"$2"}
}
had_all() {
	[ "$(number borrowed_bytes)" = 0 ] &&
		[ "$(number page_bytes)" -gt 16000000 ]
}
mostly_unchanged() {
	[ "$(number borrowed_bytes)" -gt 15000000 ]
}
comes_back() {
	jobcr wait "$job" 2>/dev/null
	jobcr restore "$job" --detach >log 2>&1 && more_lines o.txt 3
}

begin
if ! jobcr check | grep -q '^ok .*written-pages'; then
	jobcr kill "$job" KILL
	echo "1..$count # the kernel cannot tell what was written"
	exit 0
fi
save --leave-running
mostly_unchanged
result $? "what is whole is borrowed by a job that goes on"
save --kill
mostly_unchanged
result $? "and by one that ends"
comes_back
result $? "it is restored"

# The job ends: all that it borrows is read before that.
damage 1
save --kill
is "$?" 0 "where an old one is damaged the job is saved"
had_all
result $? "all of it is"
matches "$(number not_borrowed)" \
	"generation * is damaged: here.pages.0@1: bytes *" "and it says why"
noted "store/local/$job/history" "is damaged"
matches "$(jobcr history "$job")" \
	"*all of it: generation * is damaged: here.pages.0@1*" \
	"the job's history, too"
jobcr verify "$job" >log 2>&1
result $? "what has ended it is whole"
comes_back
result $? "and is restored"
save --leave-running
mostly_unchanged
result $? "the next is of that one"
jobcr kill "$job" KILL
jobcr wait "$job" 2>/dev/null

# So also where the job stands still instead of being pinned.
echo 'PauseMode = "stop"' >>"$JOBCR_CONF"
begin
damage "$generation"
save --kill
had_all && jobcr verify "$job" >log 2>&1 && comes_back
result $? "also when it is copied while it stands still"
sed -i '/^PauseMode/d' "$JOBCR_CONF"
jobcr kill "$job" KILL
jobcr wait "$job" 2>/dev/null

# What the last one wrote is read once by the next.
begin
damage "$generation"
save --leave-running
had_all
result $? "what was damaged since the last one is found before the next"
jobcr verify "$job" >log 2>&1
result $? "which is whole"
matches "$(jobcr checkpoint "$job" --leave-running)" "*that are unchanged*" \
	"and borrowed from"

# And of what is older an eighth.
generation=$(number generation)
damage "$generation"
found=
for _ in 1 2 3 4 5 6 7 8; do
	save --leave-running
	! had_all || found=yes
done
is "$found" yes "what is damaged later is found within eight snapshots"
jobcr verify "$job" >log 2>&1
result $? "and the newest is whole"
more_lines o.txt 3
result $? "the job goes on"
if grep another o.txt >log; then
	result 1 "its memory is what it was"
else
	result 0 "its memory is what it was"
fi
jobcr kill "$job" KILL
jobcr wait "$job" 2>/dev/null

# The disk is damaged, and the page cache still has what was written.
on_disk() { # DirectIO
	sed -i "/^DirectIO/d" "$JOBCR_CONF"
	echo "DirectIO = $1" >>"$JOBCR_CONF"
	begin
	_file=$(generation_dir "$generation")/here.pages.0
	_was=$(sha256sum <"$_file")
	sync -f "$_file"
	python3 "$spoil" "$_file" disk
	[ "$_was" = "$(sha256sum <"$_file")" ]
	result $? "DirectIO = $1: where only the disk is damaged"
	save --kill
	had_all && comes_back
	result $? "the job is saved as it should be, too"
	jobcr kill "$job" KILL
	jobcr wait "$job" 2>/dev/null
}
truncate -s 300M disk
if mkfs.ext4 -q -F disk 2>/dev/null && mount -o loop disk store 2>/dev/null
then
	on_disk true
	on_disk false
	umount store
else
	echo "# no disk of its own"
fi
finish
