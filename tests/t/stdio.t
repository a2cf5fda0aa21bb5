#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Standard input and output that the job got from outside: pipes, fifos, a
# terminal.  A restored job has those of whoever restores it.
set -u
top_builddir=${top_builddir:-.}
jobcr=$top_builddir/jobcr
JOBCR_LIBEXEC=${JOBCR_LIBEXEC:-$top_builddir}
tmp=$(mktemp -d /tmp/jobcr-stdio.XXXXXX) || exit 1
JOBCR_CONF=$tmp/conf
export JOBCR_CONF JOBCR_LIBEXEC
holders=
cleanup() {
	for p in $holders; do
		kill "$p" 2>/dev/null
	done
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
newest() {
	"$jobcr" list | awk 'NR > 1 { id = $1 } END { print id }'
}
hold() { # fifo: keep it open for writing, writing nothing
	sleep 1000 >"$1" &
	holders="$holders $!"
}

mkdir "$tmp/run" "$tmp/store"
printf 'StoreDir = "%s/store"\nRunDir = "%s/run"\n' "$tmp" "$tmp" \
	>"$JOBCR_CONF"
: >"$tmp/log"

# Counts to 40, waits for a line, and says it to both.
job='for i in $(seq 40); do echo $i; sleep 0.05; done; read x; echo "got $x"; echo "err $x" >&2'

# Through pipes and a fifo.
mkfifo "$tmp/in" "$tmp/again"
hold "$tmp/in"
"$jobcr" run -- /bin/bash -c "$job" <"$tmp/in" 2>"$tmp/err" |
	cat >"$tmp/first" &
until_true grep -q '^5$' "$tmp/first"
id=$(newest)
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
ok $? "a job between pipes is saved"
wait $!
(
	until_true grep -q '^40$' "$tmp/second"
	echo hello
) >"$tmp/again" &
"$jobcr" restore "$id" <"$tmp/again" 2>"$tmp/log" | cat >"$tmp/second"
cat "$tmp/first" "$tmp/second" >"$tmp/all"
{
	seq 40
	echo got hello
} | cmp -s - "$tmp/all"
ok $? "it goes on between other pipes, and nothing is lost or twice"
grep -q '^err hello$' "$tmp/err"
ok $? "what was a file is the same file"

# In a terminal.
if command -v script >/dev/null; then
	: >"$tmp/first" # before anybody looks into it
	script -qec "'$jobcr' run -- /bin/bash -c '
		i=0; while [ \$i -lt 40 ]; do i=\$((i + 1)); echo \$i;
		sleep 0.05; done; tty'" /dev/null <"$tmp/in" >"$tmp/first" &
	until_true grep -q '^5' "$tmp/first"
	id=$(newest)
	"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
	ok $? "a job in a terminal is saved"
	wait $!
	script -qec "'$jobcr' restore $id" /dev/null \
		</dev/null >"$tmp/second" 2>&1
	seq 40 >"$tmp/numbers"
	cat "$tmp/first" "$tmp/second" | tr -d '\r' | grep '^[0-9][0-9]*$' |
		cmp -s - "$tmp/numbers"
	ok $? "it goes on in another terminal"
	grep -q /dev/pts/ "$tmp/second"
	ok $? "which it has as its input"
else
	n=$((n + 1))
	echo "ok $n # SKIP no script(1)"
fi

# What is not standard input or output of the job is refused.
mkfifo "$tmp/side"
hold "$tmp/side"
"$jobcr" run -- /bin/bash -c 'exec 9<"$0"; : >"$0.open"; sleep 1000' \
	"$tmp/side" \
	</dev/null >/dev/null 2>&1 &
until_true test -e "$tmp/side.open"
id=$(newest)
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q "shared with process .*(sleep) outside" "$tmp/log"
ok $? "another fifo from outside is refused by name"
"$jobcr" kill "$id" KILL >/dev/null 2>&1
echo "1..$n"
exit $bad
