#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Standard input and output that the job got from outside: pipes, fifos, a
# terminal.  A restored job has those of whoever restores it.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
jobcr=$top_builddir/jobcr
holders=
cleanup() {
	for p in $holders; do
		kill "$p" 2>/dev/null
	done
	clean_up
}
trap cleanup EXIT
newest() {
	"$jobcr" list | awk 'NR > 1 { id = $1 } END { print id }'
}
hold() { # fifo: keep it open for writing, writing nothing
	sleep 1000 >"$1" &
	holders="$holders $!"
}

: >"$tmp/log"

# Counts to 40, waits for a line, and says it to both.
job='for i in $(seq 40); do echo $i; sleep 0.05; done; read x; echo "got $x"; echo "err $x" >&2'

# Through pipes and a fifo.
mkfifo "$tmp/in" "$tmp/again"
hold "$tmp/in"
"$jobcr" run -- /bin/bash -c "$job" <"$tmp/in" 2>"$tmp/err" |
	cat >"$tmp/first" &
wait_for 20 grep -q '^5$' "$tmp/first"
id=$(newest)
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
result $? "a job between pipes is saved"
wait $!
(
	wait_for 20 grep -q '^40$' "$tmp/second"
	echo hello
) >"$tmp/again" &
"$jobcr" restore "$id" <"$tmp/again" 2>"$tmp/log" | cat >"$tmp/second"
cat "$tmp/first" "$tmp/second" >"$tmp/all"
{
	seq 40
	echo got hello
} | cmp -s - "$tmp/all"
result $? "it goes on between other pipes, and nothing is lost or twice"
grep -q '^err hello$' "$tmp/err"
result $? "what was a file is the same file"

# In a terminal.
if command -v script >/dev/null; then
	: >"$tmp/first" # before anybody looks into it
	script -qec "'$jobcr' run -- /bin/bash -c '
		i=0; while [ \$i -lt 40 ]; do i=\$((i + 1)); echo \$i;
		sleep 0.05; done; tty'" /dev/null <"$tmp/in" >"$tmp/first" &
	wait_for 20 grep -q '^5' "$tmp/first"
	id=$(newest)
	"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
	result $? "a job in a terminal is saved"
	wait $!
	script -qec "'$jobcr' restore $id" /dev/null \
		</dev/null >"$tmp/second" 2>&1
	seq 40 >"$tmp/numbers"
	cat "$tmp/first" "$tmp/second" | tr -d '\r' | grep '^[0-9][0-9]*$' |
		cmp -s - "$tmp/numbers"
	result $? "it goes on in another terminal"
	grep -q /dev/pts/ "$tmp/second"
	result $? "which it has as its input"
else
	count=$((count + 1))
	echo "ok $count # SKIP no script(1)"
fi

# What is not standard input or output of the job is refused.
mkfifo "$tmp/side"
hold "$tmp/side"
"$jobcr" run -- /bin/bash -c 'exec 9<"$0"; : >"$0.open"; sleep 1000' \
	"$tmp/side" \
	</dev/null >/dev/null 2>&1 &
wait_for 20 test -e "$tmp/side.open"
id=$(newest)
"$jobcr" checkpoint "$id" --kill >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q "shared with process .*(sleep) outside" "$tmp/log"
result $? "another fifo from outside is refused by name"
"$jobcr" kill "$id" KILL >/dev/null 2>&1
finish
