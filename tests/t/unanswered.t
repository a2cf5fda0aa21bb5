#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who asks about jobs while the store hangs is told so, and does not wait for
# ever: jobs of Slurm and local ones, by jobcrd and without it.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"
hang=$(cd "${top_srcdir:-.}" && pwd)/tests/lib/hang.py
hanging=
leave() {
	[ -z "$hanging" ] || kill "$hanging" 2>/dev/null
	umount -l "$tmp/store" 2>/dev/null
	clean_up
}
hangs() { # nothing of the test itself may look there
	/usr/bin/python3 "$hang" "$tmp/store" >hang.out 2>log &
	hanging=$!
	wait_for 5 grep -q hangs hang.out
}
is_back() {
	kill "$hanging"
	wait "$hanging" 2>/dev/null
	hanging=
	umount -l "$tmp/store"
}
trap leave EXIT

# What is asked is answered in time, and says what hangs.
told() { # status COMMAND...
	_want=$1
	shift
	timeout 30 "$top_builddir/jobcr" "$@" >out 2>&1
	is $? "$_want" "$* ends by itself"
	grep -qF "$tmp/store does not answer" out
	result $? "and says what hangs: $(tail -n 1 out)"
}

start_daemon
job=$(jobcr run --detach --output o.txt -- sh -c "$(count_to 100000)")
wait_for 10 has_lines o.txt 10
jobcr checkpoint "$job" --kill >log 2>&1
jobcr wait "$job" >log 2>&1
noted "$tmp/store/local/$job/history" ' checkpoint '
history=$(jobcr history "$job")
# Of this one no record says that it has none.
other=$(jobcr run --detach -- sleep 1000)
if ! hangs; then
	echo "1..0 # SKIP no FUSE here: $(tail -n 1 log)"
	exit 0
fi
told 0 status
told 0 status "$other"
told 8 history "$job"
told 8 history 4711
timeout 5 "$top_builddir/jobcr" list >log 2>&1
result $? "jobcrd answers"
stop_daemon
told 8 history "$job"
is_back
is "$(jobcr history "$job")" "$history" "it is back, and the history whole"
start_daemon
is "$(jobcr history "$job")" "$history" "and as jobcrd tells it"
jobcr kill "$other" KILL
finish
