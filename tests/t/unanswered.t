#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who asks about jobs while the store hangs is told so, and does not wait for
# ever: jobs of Slurm and local ones, by jobcrd and without it.  So is who wants
# something to be done there, and nothing of it is left to hold up anything else.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"
hang=$(cd "${top_srcdir:-.}" && pwd)/tests/lib/hang.py
where=
hanging=
leave() {
	[ -z "$hanging" ] || kill "$hanging" 2>/dev/null
	umount -l "$where" 2>/dev/null
	clean_up
}
hangs() { # nothing of the test itself may look there
	/usr/bin/python3 "$hang" "$where" >hang.out 2>log &
	hanging=$!
	wait_for 5 grep -q hangs hang.out
}
is_back() {
	kill "$hanging"
	wait "$hanging" 2>/dev/null
	hanging=
	umount -l "$where"
}
trap leave EXIT

# What is asked is answered in time, and says what hangs.
told() { # status COMMAND...
	_want=$1
	shift
	timeout 30 "$top_builddir/jobcr" "$@" >out 2>&1
	is $? "$_want" "$* ends by itself"
	grep -qF "$where does not answer" out
	result $? "and says what hangs: $(tail -n 1 out)"
}

start_daemon
job=$(jobcr run --detach --output o.txt -- sh -c "$(count_to 100000)")
wait_for 10 has_lines o.txt 10
jobcr checkpoint "$job" --kill >log 2>&1
jobcr wait "$job" >log 2>&1
noted "$tmp/store/local/$job/history" ' checkpoint '
history=$(jobcr history "$job")
alice=52001
mkdir a
chown $alice a
live=$(cd a && as $alice "$top_builddir/jobcr" run --detach --output o.txt -- \
	sh -c "$(count_to 100000)")
wait_for 10 has_lines a/o.txt 10
jobcr checkpoint "$live" --leave-running >log 2>&1
result $? "a job that goes on, with a snapshot"
# Of this one no record says that it has none.
other=$(jobcr run --detach -- sleep 1000)
mkdir elsewhere
where=$tmp/elsewhere
if ! hangs; then
	echo "1..0 # SKIP no FUSE here: $(tail -n 1 log)"
	exit 0
fi
told 8 restore --dir "$where"
is_back
where=$tmp/store
hangs
told 0 status
told 0 status "$other"
told 8 history "$job"
told 8 history 4711
timeout 5 "$top_builddir/jobcr" list >log 2>&1
result $? "jobcrd answers"

told 8 checkpoint "$live" --leave-running
told 8 checkpoint "$live" --kill
more_lines a/o.txt
result $? "the job goes on"
told 8 keep "$live"
told 8 delete "$live" --force
told 8 restore "$job" --detach

# hung COMMAND...: it waits, as the user may, and says for what.
hung() {
	timeout 8 "$top_builddir/jobcr" "$@" >out 2>&1
	is $? 124 "$1 waits until it is ended"
	grep -qF "$tmp/store does not answer" out
	result $? "and says for what: $(tail -n 1 out)"
}
hung show "$live"
hung verify "$live"
hung export "$live" -o x.tar
hung diff "$live.1" "$live.1"

# Whoever does not wait leaves nothing that counts as theirs.
i=0
while [ $i -lt 100 ]; do
	as $alice timeout -s KILL 0.5 "$top_builddir/jobcr" keep "$live.1" \
		>log 2>&1 &
	i=$((i + 1))
	[ $((i % 10)) != 0 ] || sleep 0.5
done
as $alice timeout 5 "$top_builddir/jobcr" list >log 2>&1
result $? "a user whose requests were given up is answered"
few() {
	[ "$(children $daemon | wc -w)" -le 5 ]
}
wait_for 15 few
result $? "and they are not jobcrd's any more"
stop_daemon
told 8 history "$job"
told 8 keep "$live"
told 8 checkpoint "$live" --leave-running
is_back
is "$(jobcr history "$job")" "$history" "it is back, and the history whole"
start_daemon
is "$(jobcr history "$job")" "$history" "and as jobcrd tells it"
jobcr checkpoint "$live" --kill >log 2>&1
result $? "and a job is saved as ever"
jobcr kill "$other" KILL
finish
