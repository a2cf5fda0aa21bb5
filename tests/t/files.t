#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Files between a checkpoint and a restore: carried, changed, removed, cut.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
jobcr=$top_builddir/jobcr
mkdir "$tmp/node"
echo "CarryFiles = { \"$tmp/node\" }" >>"$JOBCR_CONF"
: >"$tmp/log"

# A script that reads itself as it goes, from a directory of the node, and
# an input; both open while it waits.
cat >"$tmp/script" <<'END'
exec 5<"$1/input"
read a <&5
echo "$a"
while ! [ -e "$1/go" ]; do sleep 0.05; done
read b <&5
echo "$b"
END
cp "$tmp/script" "$tmp/node/script"
start() { # output [shell]
	rm -f "$tmp/go"
	printf 'one\ntwo\n' >"$tmp/input"
	id=$("$jobcr" run --detach --output "$1" -- "${2:-/bin/bash}" \
		"$tmp/node/script" "$tmp" 2>"$tmp/log")
	wait_for 20 grep -q one "$1"
	"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
}

# The words may come after the command has ended; wait for them.
refused() { # text
	wait_for 20 try_restore || return 1
	[ $status != 0 ] && wait_for 20 grep -q "$1" "$tmp/log"
}
try_restore() {
	"$jobcr" restore "$id" >"$tmp/log" 2>&1
	status=$?
	wait_for 20 test -s "$tmp/log"
	! grep -q "on this node already" "$tmp/log"
}

start "$tmp/out"
result $? "a job with files is saved"
rm -r "$tmp/node"
echo "printed after the snapshot" >>"$tmp/out"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
result $? "it goes on where its script is missing"
printf 'one\ntwo\n' | cmp -s - "$tmp/out"
result $? "its output is cut to what it had printed, and goes on"

mkdir "$tmp/node"
cp "$tmp/script" "$tmp/node/script"
start "$tmp/out2"
echo three >>"$tmp/input"
refused "$tmp/input: has 14 bytes now, not 8"
result $? "an input that grew is refused, with its name"
rm "$tmp/input"
refused "$tmp/input: No such file"
result $? "an input that is gone is refused, with its name"
start "$tmp/out3"
: >"$tmp/out3"
refused "$tmp/out3: has only 0 of 4 bytes"
result $? "an output that lost bytes is refused, with its name"

# A program that is upgraded while its job is away.
cp /bin/bash "$tmp/shell"
start "$tmp/out4" "$tmp/shell"
cp --remove-destination /bin/dash "$tmp/shell"
refused "$tmp/shell: is another build than the one that ran: .*CarryFiles"
result $? "a program that was replaced is refused, with its name and the remedy"
cp /bin/bash "$tmp/node/shell"
start "$tmp/out5" "$tmp/node/shell"
cp --remove-destination /bin/dash "$tmp/node/shell"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
result $? "one that travels with the snapshot is not missed"
grep -q "it has its own copies of files that .*: $tmp/node/shell$" \
	"$tmp/log"
result $? "which is said"
printf 'one\ntwo\n' | cmp -s - "$tmp/out5"
result $? "and the job goes on in it"

# A program that writes three files in its own ways, which go on growing after
# a snapshot: as when a node fails, and the job goes on from what it has.
cat >"$tmp/writer" <<'END'
import os, sys, time
where = sys.argv[1]
added = open(where + "/added", "ab", 0)
ended = open(where + "/ended", "wb", 0)
inside = open(where + "/inside", "wb+", 0)
inside.write(b"." * 100)
n = 0
while not os.path.exists(where + "/go"):
    n += 1
    line = b"%d\n" % n
    added.write(line)
    ended.write(line)
    inside.seek(10)
    inside.write(line)
    if n == 3:
        print("three", flush=True)
    while n >= 3 and not os.path.exists(where + "/go") and \
            not os.path.exists(where + "/more"):
        time.sleep(0.01)
for f in added, ended:
    f.write(b"end\n")
END
write() { # output [option...]
	rm -f "$tmp/go" "$tmp/more" "$tmp/added" "$tmp/ended" "$tmp/inside"
	out=$1
	shift
	id=$("$jobcr" run --detach --output "$out" "$@" -- python3 \
		"$tmp/writer" "$tmp" 2>"$tmp/log")
	wait_for 20 grep -q three "$out"
	"$jobcr" checkpoint "$id" >"$tmp/log" 2>&1
	: >"$tmp/more"
	wait_for 20 eval '[ "$(wc -l <"$tmp/added")" -gt 20 ]'
	"$jobcr" kill "$id" KILL
	"$jobcr" wait "$id" >/dev/null 2>&1
	cp "$tmp/added" "$tmp/added.was"
	cp "$tmp/ended" "$tmp/ended.was"
	rm -f "$tmp/more"
	: >"$tmp/go"
}
undisturbed() { # file
	printf '1\n2\n3\nend\n' | cmp -s - "$1"
}
write "$tmp/out6"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
result $? "a job whose files have grown since goes on"
undisturbed "$tmp/added"
result $? "what it had appended is cut off"
undisturbed "$tmp/ended"
result $? "also where it only writes at the end"
for name in added ended; do
	printf '1\n2\n3\n' | cat - "$tmp/$name.jobcr-1" |
		cmp -s - "$tmp/$name.was"
	result $? "and kept in $name.jobcr-1"
done
grep -q "written .*in $tmp/added.jobcr-1, $tmp/ended.jobcr-1$" "$tmp/log"
result $? "which is said"
noted "$tmp/store/local/$id/history" "added.jobcr-1" &&
	"$jobcr" history "$id" | grep -q "files .*$tmp/added.jobcr-1"
result $? "and written into its history"
[ ! -e "$tmp/inside.jobcr-1" ] && [ "$(wc -c <"$tmp/inside")" = 100 ]
result $? "a file that it changes inside is left alone"
write "$tmp/out7"
: >"$tmp/added.jobcr-1"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ ! -s "$tmp/added.jobcr-1" ] && [ -s "$tmp/added.jobcr-1.1" ]
result $? "a file that has that name is not overwritten"
write "$tmp/out8" --files keep
"$jobcr" restore "$id" >"$tmp/log" 2>&1
cat "$tmp/added.was" - <<END | cmp -s - "$tmp/added"
end
END
result $? "--files keep: nothing is cut"
write "$tmp/out9" --files keep
"$jobcr" restore "$id" --files refuse >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q "$tmp/added: was written after the snapshot" "$tmp/log"
result $? "--files refuse: it is refused, by name" 
cmp -s "$tmp/added" "$tmp/added.was"
result $? "and nothing was touched"

# A job that ended at the cut did not write what came later.
rm -f "$tmp/go" "$tmp/more" "$tmp/added"* "$tmp/ended"*
id=$("$jobcr" run --detach --output "$tmp/out10" -- python3 "$tmp/writer" \
	"$tmp" 2>"$tmp/log")
wait_for 20 grep -q three "$tmp/out10"
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
echo "another job's" >>"$tmp/added"
: >"$tmp/more"
"$jobcr" restore --detach "$id" >"$tmp/log" 2>&1
wait_for 20 eval '[ "$(wc -l <"$tmp/added")" -gt 20 ]'
printf "1\n2\n3\nanother job's\n4\n" | cmp -s -n 22 - "$tmp/added"
result $? "what others have appended is theirs"
"$jobcr" kill "$id" KILL
"$jobcr" wait "$id" >/dev/null 2>&1
rm "$tmp/more"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
undisturbed "$tmp/added"
result $? "but a second restore finds what the first run wrote"
"$jobcr" run --files some -- true 2>"$tmp/log"
[ $? = 2 ] || grep -q 'files "some": rollback, keep or refuse' "$tmp/log"
result $? "there are three policies"

# A job whose files were all moved.
mkdir -p "$tmp/old/sub" "$tmp/aside"
cp /bin/bash "$tmp/old/shell"
cp "$tmp/script" "$tmp/old/script"
rm -f "$tmp/old/go"
printf 'one\ntwo\n' >"$tmp/old/input"
id=$(cd "$tmp/old/sub" && "$jobcr" run --detach --output "$tmp/old/out" -- \
	"$tmp/old/shell" ../script .. 2>"$tmp/log")
wait_for 20 grep -q one "$tmp/old/out"
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
mv "$tmp/old" "$tmp/new"
mv "$tmp/new/out" "$tmp/aside/out"
: >"$tmp/new/go"
"$jobcr" restore "$id" --map "$tmp/old/=$tmp/new" \
	--map "$tmp/old/out=$tmp/aside/out" >"$tmp/log" 2>&1
result $? "--map: it goes on where its files are now"
printf 'one\ntwo\n' | cmp -s - "$tmp/aside/out"
result $? "with the longest path that fits"
write "$tmp/out11"
mkdir "$tmp/moved"
mv "$tmp/added" "$tmp/moved/a"
"$jobcr" restore "$id" --map "$tmp/added=$tmp/moved/a" >"$tmp/log" 2>&1
undisturbed "$tmp/moved/a" && [ -s "$tmp/moved/a.jobcr-1" ] &&
	grep -q "written .*in .*$tmp/moved/a.jobcr-1" "$tmp/log"
result $? "what was appended is kept beside the file, where it is now"
# Another job goes on to append to a file that is cut back.
rm -f "$tmp/added.jobcr-"*
write "$tmp/out13"
head -c 64M /dev/zero >>"$tmp/added"
cat >"$tmp/other" <<'END'
import sys, time, os
f = open(sys.argv[1] + "/added", "ab", 0)
n = 0
while not os.path.exists(sys.argv[1] + "/stop"):
    n += 1
    f.write(b"other %d\n" % n)
    time.sleep(0.005)
print(n)
END
python3 "$tmp/other" "$tmp" >"$tmp/others" &
wait_for 20 grep -aq other "$tmp/added"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
: >"$tmp/stop"
wait $!
cat "$tmp/added.jobcr-1" "$tmp/added" | tr -d '\000' |
	grep -c '^other' | cmp - "$tmp/others" >>"$tmp/log" 2>&1
result $? "what others append meanwhile is not lost"
rm "$tmp/added"*

# What a restore does to files is not told to a job that watches them.
cat >"$tmp/watcher" <<'END'
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
where = sys.argv[1] + "/watched"
os.mkdir(where)
group = libc.inotify_init1(os.O_NONBLOCK)
f = open(where + "/f", "ab", 0)
f.write(b"1\n")
# IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_CLOSE_WRITE
assert libc.inotify_add_watch(group, where.encode(), 0x18a) == 1
print("ready", flush=True)
while not os.path.exists(sys.argv[1] + "/go"):
    time.sleep(0.01)
try:
    print(os.read(group, 4096))
except BlockingIOError:
    print("nothing")
END
rm -f "$tmp/go"
id=$("$jobcr" run --detach --output "$tmp/out14" -- python3 "$tmp/watcher" \
	"$tmp" 2>"$tmp/log")
wait_for 20 grep -q ready "$tmp/out14"
"$jobcr" checkpoint "$id" >"$tmp/log" 2>&1
"$jobcr" kill "$id" KILL
"$jobcr" wait "$id" >/dev/null 2>&1
echo more >>"$tmp/watched/f"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ -s "$tmp/watched/f.jobcr-1" ] &&
	printf 'ready\nnothing\n' | cmp - "$tmp/out14" >>"$tmp/log" 2>&1
result $? "a job is not told of what the restore has put aside"

# A file without a name is made again under the one that it has now.
rm -f "$tmp/go"
cat >"$tmp/holder" <<'END'
exec 5<>"$1/gone"
rm "$1/gone"
echo kept >&5
echo ready
while ! [ -e "$1/go" ]; do sleep 0.05; done
cat /proc/self/fd/5
END
id=$("$jobcr" run --detach --output "$tmp/out12" -- /bin/bash "$tmp/holder" \
	"$tmp" 2>"$tmp/log")
wait_for 20 grep -q ready "$tmp/out12"
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
echo precious >"$tmp/gone"
: >"$tmp/go"
"$jobcr" restore "$id" --map "$tmp/gone=$tmp/moved/gone" >"$tmp/log" 2>&1 &&
	printf 'ready\nkept\n' | cmp - "$tmp/out12" >>"$tmp/log"
result $? "--map of a file without a name"
[ "$(cat "$tmp/gone")" = precious ] && ! [ -e "$tmp/moved/gone" ]
result $? "leaves none behind, and takes none away"
"$jobcr" restore "$id" --map "old=/new" >"$tmp/log" 2>&1
[ $? = 2 ] && grep -q 'old=/new": OLD=NEW with absolute paths' "$tmp/log"
result $? "what is no map is wrong use"
finish
