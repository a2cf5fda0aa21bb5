#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a job has on a file system of the node goes with it to another one:
# files, the directories they lie in, where it is, and its fifos.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
jobcr=$top_builddir/jobcr
scratch=$tmp/scratch
echo "LocalDirs = { \"$scratch\" }" >>"$JOBCR_CONF"
: >"$tmp/log"

cat >"$tmp/job" <<'END'
import fcntl, mmap, os, sys, time
tmp, scratch = sys.argv[1:]
os.mkdir(scratch + "/place", 0o711)
os.mkdir(scratch + "/place/deep")
os.chdir(scratch + "/place/deep")
log = open("log", "a", buffering=1)
log.write("one\n")
state = open("../state", "w+b")
state.truncate(8192)
m = mmap.mmap(state.fileno(), 8192)
m[5000:5004] = b"then"
state.close()
given = open(scratch + "/input")
assert given.readline() == "first\n"
os.mkfifo("fifo", 0o600)
fifo = os.open("fifo", os.O_RDWR)
os.write(fifo, b"waits")
open("closed", "w").close()
print("ready", flush=True)
while not os.path.exists(tmp + "/go"):
    if os.path.exists(tmp + "/more") and m[5000:5004] == b"then":
        m[5000:5004] = b"past"
        log.write("lost\n")
        print("changed", flush=True)
    time.sleep(0.05)
log.write("two\n")
assert m[5000:5004] == b"then", m[5000:5004]
m[0:3] = b"end"
assert open("../state", "rb").read(3) == b"end"
assert open("log").read() == "one\ntwo\n", open("log").read()
assert given.read() == "second\n"
assert os.read(fifo, 9) == b"waits"
assert os.fstat(os.open("fifo", os.O_RDWR)).st_ino == os.fstat(fifo).st_ino
assert os.stat("..").st_mode & 0o777 == 0o711
assert os.getcwd() == scratch + "/place/deep"
print("good", flush=True)
END
start() {
	rm -rf "$tmp/go" "$tmp/more" "$tmp/out" "$scratch"
	mkdir "$scratch"
	printf 'first\nsecond\n' >"$scratch/input"
	id=$("$jobcr" run --detach --output "$tmp/out" -- /usr/bin/python3 \
		"$tmp/job" "$tmp" "$scratch" 2>"$tmp/log")
	wait_for 20 grep -q ready "$tmp/out"
}
save() {
	"$jobcr" checkpoint "$id" "$@" >"$tmp/log" 2>&1
}
ends_well() {
	: >"$tmp/go"
	"$jobcr" restore "$id" >"$tmp/log" 2>&1 && grep -q good "$tmp/out" &&
		return
	cat "$tmp/out" >>"$tmp/log"
	false
}

start
save --kill
result $? "a job with files of the node is saved"
rm -r "$scratch"
ends_well
result $? "where they are missing they are made again"
[ ! -e "$scratch/place/deep/closed" ]
result $? "those that it had not open are not"

start
save --kill
ends_well && [ -e "$scratch/place/deep/closed" ]
result $? "where they are, it goes on with them"

start
save
: >"$tmp/more"
wait_for 20 grep -q changed "$tmp/out"
"$jobcr" kill "$id" KILL
wait_for 20 sh -c "! '$jobcr' list | grep -q '^ *$id .*running'"
rm "$tmp/more"
ends_well
result $? "what it has changed after the snapshot is as it was then"
grep -q lost "$scratch"/place/deep/log.jobcr-* &&
	grep -q past "$scratch"/place/state.jobcr-*
result $? "and put aside"
grep -q "state.jobcr-" "$tmp/log"
result $? "which the command says"

start
save --kill
rm -r "$scratch/place"
mkdir -p "$scratch/place/deep"
echo "of others" >"$scratch/place/state"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ $? != 0 ] &&
	wait_for 20 grep -q "$scratch/place/state: another file" "$tmp/log" &&
	[ "$(cat "$scratch/place/state")" = "of others" ]
result $? "another file at such a path is refused, and let alone"
[ ! -e "$scratch/place/deep/log" ]
result $? "a restore that fails leaves none behind"
rm -r "$scratch"
ends_well
result $? "and the next one makes all"

# Memory of the node, wherever it is mounted.
mkdir "$tmp/memory"
if mount -t tmpfs -o size=1m none "$tmp/memory" 2>"$tmp/log"; then
	cleanup() {
		umount -l "$tmp/memory"
		clean_up
	}
	trap cleanup EXIT
	rm -f "$tmp/go" "$tmp/out"
	id=$("$jobcr" run --detach --output "$tmp/out" -- /bin/sh -c '
		mkdir "$2/own"
		exec 5<>"$2/own/file"
		echo kept >&5
		echo ready
		while ! [ -e "$1/go" ]; do sleep 0.05; done
		[ "$(cat "$2/own/file")" = kept ] && echo good
		' sh "$tmp" "$tmp/memory" 2>"$tmp/log")
	wait_for 20 grep -q ready "$tmp/out"
	save --kill
	rm -r "$tmp/memory/own"
	ends_well
	result $? "files on tmpfs travel, too"
else
	echo "ok $((count = count + 1)) - # SKIP nothing can be mounted here"
fi

start
echo 'LocalFileSize = "4K"' >>"$JOBCR_CONF"
dd if=/dev/zero of="$scratch/input" bs=1M count=1 conv=notrunc 2>"$tmp/log"
save
[ $? != 0 ] && grep -q "$scratch/input, a file of the node with 1 MiB" \
	"$tmp/log"
result $? "one that is too large is refused by name"
"$jobcr" kill "$id" KILL
finish
