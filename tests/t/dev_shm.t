#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Files in /dev/shm travel with a job and get their names again; those of
# others are left alone.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
jobcr=$top_builddir/jobcr
file=/dev/shm/${tmp##*/}
other=
cleanup() {
	[ -z "$other" ] || kill "$other"
	clean_up
	rm -f "$file"
}
trap cleanup EXIT
: >"$tmp/log"
cat >"$tmp/job" <<'END'
exec 5<>"$2"
echo one >&5
echo ready
while ! [ -e "$1/go" ]; do sleep 0.05; done
echo two >&5
cat "$2"
END
start() {
	rm -f "$tmp/go" "$tmp/out" "$file"
	id=$("$jobcr" run --detach --output "$tmp/out" -- /bin/sh "$tmp/job" \
		"$tmp" "$file" 2>"$tmp/log")
	wait_for 20 grep -q ready "$tmp/out"
}
save() {
	"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
}
ends_well() {
	: >"$tmp/go"
	"$jobcr" restore "$id" >"$tmp/log" 2>&1 &&
		printf 'ready\none\ntwo\n' | cmp - "$tmp/out" >>"$tmp/log"
}

start
save
result $? "a job with a file in /dev/shm is saved"
echo junk >>"$file"
ends_well
result $? "on the same node what it left there is replaced"

start
save
rm "$file"
ends_well && [ "$(stat -c %a "$file")" = 644 ]
result $? "on another node the file is made again"

start
save
rm "$file"
"$jobcr" restore "$id" --detach >"$tmp/log" 2>&1 &&
	wait_for 20 "$jobcr" kill "$id" KILL
result $? "a restored run is lost"
wait_for 20 sh -c "! '$jobcr' list | grep -q '^ *$id .*running'"
[ "$(cat "$file")" = one ] && ends_well
result $? "what it had left is known to be its own"

start
save
rm "$file"
echo "of others" >"$file"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && wait_for 20 grep -q "$file: another file is there" "$tmp/log"
result $? "another file there is refused, with its name"
[ "$(cat "$file")" = "of others" ]
result $? "and is left alone"

start
save
rm "$file"
mv "$tmp/job" "$tmp/away"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && [ ! -e "$file" ]
result $? "a restore that fails leaves none behind"
mv "$tmp/away" "$tmp/job"
ends_well
result $? "and the next one makes it"

start
sleep 1000 3<"$file" >/dev/null 2>&1 &
other=$!
"$jobcr" checkpoint "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q "memory shared with process $other outside" "$tmp/log"
result $? "one that others have open is refused"
rm "$file"
"$jobcr" checkpoint "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q "memory shared with process $other outside" "$tmp/log"
result $? "also when it has no name any more"
kill "$other"
wait "$other" 2>/dev/null
other=
save
result $? "and saved when they have not"
finish
