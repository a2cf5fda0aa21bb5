#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Files between a checkpoint and a restore: carried, changed, removed, cut.
set -u
top_builddir=${top_builddir:-.}
jobcr=$top_builddir/jobcr
JOBCR_LIBEXEC=${JOBCR_LIBEXEC:-$top_builddir}
tmp=$(mktemp -d /tmp/jobcr-files.XXXXXX) || exit 1
JOBCR_CONF=$tmp/conf
export JOBCR_CONF JOBCR_LIBEXEC
cleanup() {
	for id in $("$jobcr" list | awk 'NR > 1 { print $1 }'); do
		"$jobcr" kill "$id" KILL >/dev/null 2>&1
	done
	rm -rf "$tmp"
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
mkdir "$tmp/run" "$tmp/store" "$tmp/node"
cat >"$JOBCR_CONF" <<END
StoreDir = "$tmp/store"
RunDir = "$tmp/run"
CarryFiles = { "$tmp/node" }
END
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
	until_true grep -q one "$1"
	"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
}

# The words may come after the command has ended; wait for them.
refused() { # text
	until_true try_restore || return 1
	[ $status != 0 ] && until_true grep -q "$1" "$tmp/log"
}
try_restore() {
	"$jobcr" restore "$id" >"$tmp/log" 2>&1
	status=$?
	until_true test -s "$tmp/log"
	! grep -q "on this node already" "$tmp/log"
}

start "$tmp/out"
ok $? "a job with files is saved"
rm -r "$tmp/node"
echo "printed after the snapshot" >>"$tmp/out"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
ok $? "it goes on where its script is missing"
printf 'one\ntwo\n' | cmp -s - "$tmp/out"
ok $? "its output is cut to what it had printed, and goes on"

mkdir "$tmp/node"
cp "$tmp/script" "$tmp/node/script"
start "$tmp/out2"
echo three >>"$tmp/input"
refused "$tmp/input: has 14 bytes now, not 8"
ok $? "an input that grew is refused, with its name"
rm "$tmp/input"
refused "$tmp/input: No such file"
ok $? "an input that is gone is refused, with its name"
start "$tmp/out3"
: >"$tmp/out3"
refused "$tmp/out3: has only 0 of 4 bytes"
ok $? "an output that lost bytes is refused, with its name"

# A program that is upgraded while its job is away.
cp /bin/bash "$tmp/shell"
start "$tmp/out4" "$tmp/shell"
cp --remove-destination /bin/dash "$tmp/shell"
refused "$tmp/shell: is another build than the one that ran: .*CarryFiles"
ok $? "a program that was replaced is refused, with its name and the remedy"
cp /bin/bash "$tmp/node/shell"
start "$tmp/out5" "$tmp/node/shell"
cp --remove-destination /bin/dash "$tmp/node/shell"
: >"$tmp/go"
"$jobcr" restore "$id" >"$tmp/log" 2>&1
ok $? "one that travels with the snapshot is not missed"
grep -q "it has its own copies of files that .*: $tmp/node/shell$" \
	"$tmp/log"
ok $? "which is said"
printf 'one\ntwo\n' | cmp -s - "$tmp/out5"
ok $? "and the job goes on in it"
echo "1..$n"
exit $bad
