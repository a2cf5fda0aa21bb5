#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# FastDir with too little room, one that fails, and what is kept or deleted
# while it is there; generations that borrow.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"

fast=$tmp/fast
mkdir fast
leave() {
	stop_daemon
	cd /
	umount -l "$fast" "$tmp/store" 2>/dev/null
	clean_up
}
if ! mount -t tmpfs -o size=64M,mode=755 tmpfs "$fast" 2>log; then
	echo "1..0 # SKIP no tmpfs can be mounted: $(tail -n 1 log)"
	exit 0
fi
trap leave EXIT
cat >>"$JOBCR_CONF" <<CONF
FastDir = "$fast"
Compression = "none"
Incremental = "yes"
CONF
field() { # file key
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(d.get(sys.argv[2], "no"))' "$1" "$2"
}
stored() { # generation
	test -e "$tmp/store/local/$job/$(printf %010u "$1")/manifest"
}
fast() { # generation
	test -e "$fast/local/$job/$(printf %010u "$1")/manifest"
}
save() {
	jobcr checkpoint "$job" --json "$@" >out 2>err
}
cat >job.py <<'PY'
import itertools, mmap, os, sys, time
size = int(sys.argv[1]) << 20
m = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
m.write(os.urandom(size))
for n in itertools.count():
    print(n, flush=True)
    time.sleep(0.02)
PY
begin() { # MiB
	job=$(jobcr run --detach --output o.txt -- python3 "$tmp/job.py" "$1")
	wait_for 20 has_lines o.txt 3
}
end_job() {
	jobcr kill "$job" KILL
	jobcr wait "$job"
	rm -f o.txt
}

start_daemon
begin 24
save
is "$?$(field out fast)" 0True "there is room for one"
wait_for 20 stored 1
result $? "it gets to the store"
save
is "$?$(field out fast)" 0True "there is for the next one"
[ "$(field out borrowed_bytes)" -gt 20000000 ]
result $? "which has little of its own: $(field out page_bytes) bytes"
wait_for 20 stored 2
result $? "it gets to the store"
is "$(stat -c %h "$tmp/store/local/$job/0000000002"/here.pages.*@1 |
	sort -u)" 2 "where what it borrows is not written again"
jobcr verify "$job.2" >log 2>&1
result $? "it is whole"
wait_for 20 test ! -e "$fast/local/$job/0000000001"
save --kill
is "$?$(field out fast)" 0no "one that ends the job goes to the store"
jobcr restore "$job" --detach >log 2>&1
result $? "from there it is restored"
more_lines o.txt 3
result $? "and goes on"
save
is "$?$(field out fast)" 0True "into the fast directory again"
wait_for 20 stored 4
jobcr verify "$job.4" >log 2>&1
result $? "it is whole in the store"

# Kept and deleted.
jobcr keep "$job.4" >log 2>&1
is "$?$(test -e "$tmp/store/local/$job/0000000004/kept" && echo kept)" 0kept \
	"it is kept in the store"
jobcr keep --off "$job.4" >log 2>&1
jobcr delete "$job" --generation 4 --force >log 2>&1
is "$?" 0 "it is deleted"
stored 4
is "$?" 1 "from the store"
gone() {
	! fast 4
}
wait_for 60 gone
result $? "and its copy goes as well"
end_job

# Neither can one in the store borrow from what is not there yet.
stop_daemon
echo 'MaxBandwidth = 1M' >>"$JOBCR_CONF"
start_daemon
begin 24
save
save --kill
is "$(field out not_borrowed)" \
	"generation 1 is in FastDir, not in StoreDir yet" \
	"one that comes before the last one's copy says why it has all"
stop_daemon
sed -i /MaxBandwidth/d "$JOBCR_CONF"
start_daemon
jobcr wait "$job" 2>log
rm o.txt

# More than there is room for.
begin 80
save
is "$?$(field out fast)" 0no "a large one goes to the store"
matches "$(field out not_fast)" "no room*" "and it is said why"
told() {
	jobcr history "$job" | grep -q "$1"
}
wait_for 10 told 'not in the fast directory: no room'
result $? "the history, too"
more_lines o.txt 3
result $? "the job goes on"
end_job

# There seemed to be.
begin 24
dd if=/dev/zero of="$fast/filler" bs=1M count=30 2>log
nothing_there() {
	! ls -d "$fast"/local/*/0*
}
wait_for 60 nothing_there
result $? "of a job that is not here any more nothing takes room"
save
is "$?$(field out fast)" 0True "one that fits"
wait_for 20 told 'generation 1 is in the store'
rm "$fast/filler"
mount -o remount,ro "$fast"
save
is "$?$(field out fast)" 0no "one that cannot be written is in the store"
matches "$(field out not_fast)" "*Read-only*" "with the reason"
stored 2
result $? "it is there"
more_lines o.txt 3
result $? "the job goes on"
mount -o remount,rw "$fast"
end_job
umount "$fast"
begin 8
save
is "$?" 0 "an empty directory will do"
wait_for 20 stored 1
result $? "and is flushed"
chmod 0777 "$fast"
save
is "$?$(field out fast)" 0no "one that others can write to will not"
matches "$(field out not_fast)" "*not trusted*" "and that is said"
chmod 0755 "$fast"
end_job

# A store without room.
mount -t tmpfs -o size=16M,mode=755 tmpfs "$tmp/store"
begin 24
save
is "$?$(field out fast)" 0True "what the store has no room for is saved"
waits() {
	jobcr status "$job" | grep -q 'stays there for now:.*No space'
}
wait_for 30 waits
result $? "its status says why it stays where it is"
more_lines o.txt 3
result $? "the job goes on"
jobcr verify "$job.1" >log 2>&1
result $? "the snapshot is whole"
mount -o remount,size=256M "$tmp/store"
wait_for 40 stored 1
result $? "when there is room it is flushed"
jobcr verify "$job.1" >log 2>&1
result $? "and whole"
end_job
finish
