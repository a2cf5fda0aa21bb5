#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the store damages of older generations does not get into those that a
# flush brings, though they have files in common; and where the fast directory
# has nothing to borrow from, it is said why.
set -u
if [ "$(id -u)" = 0 ] && [ -z "${JOBCR_MOUNTS:-}" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
spoil=$(cd "${top_srcdir:-.}" && pwd)/tests/lib/spoil.py
. "${top_srcdir:-.}/tests/lib/jobs.sh"

leave() {
	umount "$tmp/store" 2>/dev/null
	clean_up
}
trap leave EXIT
mkdir fast fast/local
chmod 3777 fast/local
cat >>"$JOBCR_CONF" <<CONF
FastDir = "$tmp/fast"
Incremental = "auto"
Compression = "none"
Keep = 30
CONF
cat >job.py <<'PY'
import itertools, mmap, os, time
pages = 4096
m = mmap.mmap(-1, pages * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
for i in range(pages):
    m[i * 4096:(i + 1) * 4096] = os.urandom(2048) * 2
for n in itertools.count():
    print(n, flush=True)
    time.sleep(0.02)
PY
number() { # what of the last answer
	python3 -c 'import json, sys
print(json.load(open("out")).get(sys.argv[1], 0))' "$1"
}
stored() { # generation
	test -e "$tmp/store/local/$job/$(printf %010u "$1")/manifest"
}
# One more, in the store.
save() {
	jobcr checkpoint "$job" --leave-running --json >out
	generation=$(number generation)
	wait_for 30 stored "$generation"
}
begin() {
	rm -f o.txt
	job=$(jobcr run --detach --output o.txt -- python3 job.py)
	wait_for 20 has_lines o.txt 3
	save
}
end_job() {
	jobcr kill "$job" KILL
	jobcr wait "$job" 2>/dev/null
}
goes_on() {
	wait_for 20 has_lines o.txt $(($(lines o.txt) + 3))
}
pages_of() { # generation [which]
	printf '%s/store/local/%s/%010d/here.pages.0%s' "$tmp" "$job" "$1" \
		"${2:-}"
}
names() { # generation: how many the pages of the first have there
	stat -c %h "$(pages_of "$1" @1)"
}
# One byte in the middle; of a disk that errs nobody knows when.
damage() { # file
	touch -r "$1" when
	_at=$(($(stat -c %s "$1") / 2))
	_byte=$(od -An -tu1 -j "$_at" -N 1 "$1")
	printf "\\$(printf %03o $(((_byte + 1) % 256)))" |
		dd of="$1" bs=1 seek="$_at" conv=notrunc 2>/dev/null
	touch -r when "$1"
}
is_whole() { # generation
	jobcr verify "$job.$1" >log 2>&1
}
told() { # text
	jobcr history "$job" >history
	grep -q "$1" history
}
# As another node does it, which has the store alone.
comes_back() {
	end_job
	rm -rf "$tmp/fast/local/$job"
	jobcr restore "$job" --detach >log 2>&1 && goes_on
}

start_daemon
begin
if ! jobcr check | grep -q '^ok .*written-pages'; then
	end_job
	echo "1..$count # the kernel cannot tell what was written"
	exit 0
fi
save
is "$generation$(names 2)" 22 "what the store has is linked there"
save
is "$(names 3)" 3 "again and again"
! told damaged
result $? "nothing is said of damage"
end_job

# What another has written is read when it is linked for the first time.
for way in none lz4; do
	sed -i "s/^Compression.*/Compression = \"$way\"/" "$JOBCR_CONF"
	begin
	damage "$(pages_of 1)"
	save
	is "$(names 2)" 1 "$way: what is damaged is not linked"
	is_whole 2
	result $? "the new one is whole in the store"
	wait_for 10 told "generation 1 is damaged: here.pages.0@1: "
	result $? "the history says which one is damaged"
	told "generation 2 has that file anew"
	result $? "and which one is not"
	! is_whole 1
	result $? "that one stays as it is"
	save
	is "$(names 2)" 2 "the next one links what is whole"
	end_job
done
sed -i 's/^Compression.*/Compression = "none"/' "$JOBCR_CONF"

# So is what a flush has written in its stead.
begin
truncate -s -4096 "$(pages_of 1)"
save
is "$(names 2)" 1 "what is too short is not linked"
wait_for 10 told "generation 1 is damaged: here.pages.0@1: has .* bytes"
result $? "and that is said"
damage "$(pages_of 2 @1)"
save
is "$(names 3)" 1 "what was written anew is read, too"
wait_for 10 told "generation 2 is damaged: here.pages.0@1: "
result $? "and that is said"

# And then an eighth, each time another.
save
is "$(names 3)" 2 "the next one links that of the third"
damage "$(pages_of 3 @1)"
found=
for _ in 1 2 3 4 5 6 7 8; do
	save
	[ "$(names "$generation")" != 1 ] || found=${found:-$generation}
done
matches "$found" "[0-9]*" "what is damaged later is found within eight flushes"
wait_for 10 told "generation $((found - 1)) is damaged: here.pages.0@1: "
result $? "and that is said"
is_whole "$generation"
result $? "the newest is whole"
comes_back
result $? "it is restored where the fast directory has nothing of it"

# Borrowed from is what is in the fast directory, and nothing else.
save
reason="generation $((generation - 1)) is in StoreDir, not in FastDir"
matches "$(number not_borrowed)" "$reason*" "the next one says why it has all"
told "all of it: $reason"
result $? "the job's history, too"
save
[ "$(number borrowed_bytes)" -gt 15000000 ]
result $? "the one after it borrows again"
is_whole "$generation"
result $? "and is whole in the store"
end_job

# The disk is damaged, and the page cache still has what was written.
on_disk() { # DirectIO
	stop_daemon
	sed -i "/^DirectIO/d" "$JOBCR_CONF"
	echo "DirectIO = $1" >>"$JOBCR_CONF"
	start_daemon
	begin
	sync -f "$(pages_of 1)"
	python3 "$spoil" "$(pages_of 1)" disk
	save
	is "$(names 2)" 1 "DirectIO = $1: so is what only the disk has wrong"
	is_whole 2
	result $? "the new one is whole in the store"
	end_job
	stop_daemon
}
truncate -s 300M disk
if mkfs.ext4 -q -F disk 2>/dev/null && mount -o loop disk store 2>/dev/null
then
	on_disk true
	on_disk false
else
	echo "# no disk of its own"
fi
finish
