#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A store that is full at any byte of a snapshot, or has no file left, or no
# quota: the checkpoint fails and says where there is no room and what helps,
# what it had written is freed, the job runs on, and the generation that was
# there before is whole.  POSITIONS (100) of a file system of its own.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
built=$(cd "${top_builddir:-.}" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

positions=${POSITIONS:-100}
store=$tmp/store
# How long a snapshot is must not depend on how busy the machine is.
echo 'Compression = "none"' >>"$JOBCR_CONF"
leave() {
	umount "$store" 2>/dev/null
	clean_up
}
trap leave EXIT
if ! mount -t tmpfs -o size=64m,nr_inodes=1000 none "$store" 2>log; then
	echo "1..0 # SKIP no tmpfs can be mounted: $(cat log)"
	exit 0
fi
free_of() { # letter of stat -f: f for blocks, d for files
	stat -f -c %$1 "$store"
}
begin_job() {
	job=$(jobcr run --detach --output o.txt -- python3 -c 'import time
n = 0
while True:
	n += 1
	print(n, flush=True)
	time.sleep(0.01)')
	wait_for 10 has_lines o.txt 20
}
end_job() {
	jobcr kill "$job" KILL
	jobcr wait "$job"
}
# leave_room BLOCKS: so many are free, the others are a file's.
leave_room() {
	_size=$(stat -c %s "$store/filler")
	_size=$((_size + ($(free_of f) - $1) * 4096))
	truncate -s $_size "$store/filler" &&
		fallocate -l $_size "$store/filler"
}
says_why() {
	[ $status = 1 ] && grep -q "no room in .*$store" err &&
		grep -q "make room" err
}
# room: blocks and files that are free.  Those of the history count: a process
# of its own writes it, perhaps a moment after the command has ended.
room() {
	_first='' _room=none
	until [ "$_room" = "$_first" ]; do
		_first=$_room
		_room=$(stat -c %b "$store/local/$job/history")
		_room="$(($(free_of f) + _room / 8)) $(free_of d)"
	done
	echo "$_room"
}
# The kernel gives up the files of a worker's ring a moment after its end.
is_freed() {
	[ "$(room)" = "$had" ]
}
only_first() {
	[ "$(ls "$store/local/$job" | grep '^[0-9]')" = 0000000001 ]
}

begin_job
before=$(free_of f)
jobcr checkpoint "$job" --leave-running >log 2>&1
result $? "a generation is saved while there is room"
needs=$((before - $(free_of f)))
echo "# it takes $needs blocks of $(stat -f -c %S "$store") bytes"
: >"$store/filler"
n=0 full=0 why=0 freed=0 first=0 whole=0
while [ $n -lt "$positions" ]; do
	n=$((n + 1))
	# Most of it is pages; the last blocks are looked at one by one.
	left=$((needs - 2 - positions + n))
	[ $n -gt $((positions * 3 / 4)) ] ||
		left=$(((needs - positions / 4) * n * 4 / positions / 3))
	leave_room $left
	had=$(room)
	jobcr checkpoint "$job" --leave-running >out 2>err
	status=$?
	if [ $status = 0 ]; then
		echo "# with $left blocks it succeeds"
		continue
	fi
	full=$((full + 1))
	says_why && why=$((why + 1))
	wait_for 5 is_freed && freed=$((freed + 1))
	only_first && first=$((first + 1))
	jobcr verify "$job.1" >/dev/null && whole=$((whole + 1))
done
is $full $n "no room at each of $n positions: failed"
cp err log
is $why $n "each says in what store, and what to do: $(cat err)"
is $freed $n "what was written is freed"
is $first $n "nothing else is left of it"
is $whole $n "the generation before is whole"
more_lines o.txt 20
result $? "the job runs on"
jobcr history "$job" >log 2>&1
result $? "its history can be read"
rm "$store/filler"
jobcr checkpoint "$job" --kill >log 2>&1 && jobcr verify "$job" >>log 2>&1 &&
	jobcr wait "$job" 2>/dev/null
is $? 75 "with room again it is saved, and ends"
at=$(lines o.txt)
jobcr restore "$job" --detach >log 2>&1 &&
	wait_for 10 has_lines o.txt $((at + 10))
result $? "and restored"
end_job
is "$?" 137 "and can be ended"

# No room for another file.
begin_job
jobcr checkpoint "$job" --leave-running >log 2>&1
result $? "another job is saved"
i=0
while touch "$store/file.$i" 2>/dev/null; do
	i=$((i + 1))
done
full=0
for left in 0 1 2 3; do
	[ $left = 0 ] || rm "$store/file.$left"
	had=$(room)
	jobcr checkpoint "$job" --leave-running >out 2>err
	status=$?
	says_why && only_first && wait_for 5 is_freed && full=$((full + 1))
done
cp err log
is $full 4 "without room for 1, 2, 3 or 4 files it fails alike"
rm "$store"/file.*
jobcr verify "$job" >log 2>&1 &&
	jobcr checkpoint "$job" --leave-running >>log 2>&1
result $? "and with room it is saved"
end_job
umount "$store"

# Room is taken ahead of what is written: there need not be so much.
small_disk() {
	command -v mkfs.ext4 >/dev/null && truncate -s 48M disk &&
		mkfs.ext4 -q -F disk && mount -o loop disk "$store"
}
if small_disk >log 2>&1; then
	begin_job
	jobcr checkpoint "$job" --leave-running >log 2>&1 &&
		jobcr verify "$job" >log 2>&1
	result $? "a small store that has room enough is filled"
	end_job
	umount "$store"
else
	count=$((count + 1))
	echo "ok $count # SKIP no file system in a file: $(tail -n 1 log)"
fi

# What a file system keeps for root is not for its users' snapshots, and whoever
# may take it may exceed quotas, too.  The job has more memory than there are
# buffers, so that its pages meet the end before its records are written.
user=65534
users_disk() {
	command -v mkfs.ext4 >/dev/null && rm -f disk &&
		truncate -s 448M disk && mkfs.ext4 -q -F -m 40 disk &&
		mount -o loop disk "$store" && mkdir a &&
		install -d -o $user "$store/own" && chown $user a
}
if users_disk >log 2>&1; then
	start_daemon
	job=$(cd a && as $user "$top_builddir/jobcr" run --detach --output \
		o.txt -- "$built/tests/cluster/progress" 99999 20 1 1 80)
	wait_for 10 has_lines a/o.txt 5
	as $user "$top_builddir/jobcr" checkpoint "$job" >log 2>&1
	result $? "a user's job is saved while there is room for users"
	as $user dd if=/dev/zero of="$store/own/filler" bs=64k 2>dd
	truncate -s -1M "$store/own/filler"
	as $user "$top_builddir/jobcr" checkpoint "$job" >out 2>err
	status=$?
	cp err log
	says_why && only_first && grep -q "here.pages" err
	result $? "pages take nothing that only root has: $(cat err)"
	rm "$store/own/filler"
	as $user "$top_builddir/jobcr" checkpoint "$job" >log 2>&1
	result $? "with room again it is"
	end_job
	stop_daemon
	umount "$store"
else
	count=$((count + 1))
	echo "ok $count # SKIP no file system in a file: $(tail -n 1 log)"
fi

# No quota: the kernel's own formats are modules that a node need not have.
quota() {
	command -v mkfs.btrfs >/dev/null &&
		truncate -s 128M disk && mkfs.btrfs -qf disk &&
		mount -o loop disk "$store" && btrfs quota enable "$store" &&
		btrfs qgroup limit "$1" "$store"
}
if quota 8M >log 2>&1; then
	begin_job
	jobcr checkpoint "$job" --leave-running >log 2>&1
	result $? "a job is saved where there is a quota"
	sync -f "$store"
	dd if=/dev/urandom of="$store/filler" bs=64k 2>dd
	grep -q "quota" dd
	result $? "until none is left"
	jobcr checkpoint "$job" --leave-running >out 2>err
	status=$?
	cp err log
	says_why && only_first && grep -q "quota" err
	result $? "then it says so: $(cat err)"
	jobcr verify "$job" >log 2>&1 &&
		more_lines o.txt
	result $? "the generation before is whole, and the job runs on"
	end_job
	umount "$store"
else
	count=$((count + 1))
	echo "ok $count # SKIP no file system with a quota: $(tail -n 1 log)"
fi
finish
