#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Files in /dev/shm travel with a job and get their names again; those of
# others are left alone.
set -u
top_builddir=${top_builddir:-.}
jobcr=$top_builddir/jobcr
JOBCR_LIBEXEC=${JOBCR_LIBEXEC:-$top_builddir}
tmp=$(mktemp -d /tmp/jobcr-shm.XXXXXX) || exit 1
JOBCR_CONF=$tmp/conf
export JOBCR_CONF JOBCR_LIBEXEC
file=/dev/shm/${tmp##*/}
other=
cleanup() {
	for id in $("$jobcr" list | awk 'NR > 1 { print $1 }'); do
		"$jobcr" kill "$id" KILL >/dev/null 2>&1
	done
	[ -z "$other" ] || kill "$other"
	rm -rf "$tmp" "$file"
}
trap cleanup EXIT
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
n=0
bad=0
ok() { # status message
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		bad=1
		echo "not ok $n - $2"
		sed 's/^/# /' "$tmp/log"
	fi
}
until_true() { # command...: at most 20 s
	i=0
	while ! "$@" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 400 ] || return 1
		sleep 0.05
	done
}
mkdir "$tmp/run" "$tmp/store"
printf 'StoreDir = "%s/store"\nRunDir = "%s/run"\n' "$tmp" "$tmp" >"$JOBCR_CONF"
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
	until_true grep -q ready "$tmp/out"
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
ok $? "a job with a file in /dev/shm is saved"
echo junk >>"$file"
ends_well
ok $? "on the same node what it left there is replaced"

start
save
rm "$file"
ends_well && [ "$(stat -c %a "$file")" = 644 ]
ok $? "on another node the file is made again"

start
save
rm "$file"
"$jobcr" restore "$id" --detach >"$tmp/log" 2>&1 &&
	until_true "$jobcr" kill "$id" KILL
ok $? "a restored run is lost"
until_true sh -c "! '$jobcr' list | grep -q '^ *$id .*running'"
[ "$(cat "$file")" = one ] && ends_well
ok $? "what it had left is known to be its own"

start
save
rm "$file"
echo "of others" >"$file"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && until_true grep -q "$file: another file is there" "$tmp/log"
ok $? "another file there is refused, with its name"
[ "$(cat "$file")" = "of others" ]
ok $? "and is left alone"

start
save
rm "$file"
mv "$tmp/job" "$tmp/away"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && [ ! -e "$file" ]
ok $? "a restore that fails leaves none behind"
mv "$tmp/away" "$tmp/job"
ends_well
ok $? "and the next one makes it"

start
sleep 1000 3<"$file" >/dev/null 2>&1 &
other=$!
"$jobcr" checkpoint "$id" >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q "memory shared with process $other outside" "$tmp/log"
ok $? "one that others have open is refused"
kill "$other"
wait "$other" 2>/dev/null
other=
save
ok $? "and saved when they have not"
echo "1..$n"
exit $bad
