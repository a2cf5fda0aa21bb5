#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Nobody gets out of a sandbox by jobcrd.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
mkdir a
chown $alice a
command -v python3 >/dev/null || {
	echo "1..0 # SKIP needs python3"
	exit 0
}
start_daemon
cd a || exit 1

# boxed WHAT ARGUMENTS...: jobcr in a sandbox.
sandbox=$(cd "${top_srcdir:-.}" && pwd)/tests/lib/sandbox.py
cp "$sandbox" "$tmp/sandbox.py"
boxed() {
	_what=$1
	shift
	timeout 60 python3 "$tmp/sandbox.py" $alice "$_what" \
		"$top_builddir/jobcr" "$@"
}
# A job that writes down some of what /proc says of it, when it is asked.
watch='while :; do
	until [ -e ask ]; do
		sleep 0.02
	done
	rm ask
	grep -E "^(Seccomp|NoNewPrivs|CapBnd):" /proc/self/status >s.new
	grep "open files" /proc/self/limits >>s.new
	mv s.new s
done'
look() {
	rm -f s
	: >ask
	wait_for 10 test -e s
}
status() { # key
	look
	awk -v key="$1:" '$1 == key { print $2 }' s
}
job=$(as $alice "$top_builddir/jobcr" run --detach -- sh -c "$watch")
look
pid=$(pgrep -u $alice -f 'open files' | head -n 1)

mkdir saved
chown $alice saved
boxed seccomp checkpoint --pid "$pid" --dir "$PWD/saved" >out 2>&1
is "$?" 6 "what runs outside is not saved outside from under a filter: 6"
matches "$(cat out)" "*seccomp*" "which is named"
as $alice "$top_builddir/jobcr" checkpoint "$job" --kill >out 2>&1
is "$?" 0 "a job is saved"

boxed seccomp run -- true >out 2>&1
is "$?" 6 "nobody starts a job from under a filter: 6"
boxed seccomp restore "$job" --detach >out 2>&1
is "$?" 6 "nor restores one: 6"
matches "$(cat out)" "*seccomp*" "the filter is named"
for space in mount uts ipc net; do
	# shellcheck disable=SC2086
	unshare --$space true 2>/dev/null || continue
	out=$(unshare --$space python3 "$tmp/sandbox.py" $alice none \
		"$top_builddir/jobcr" restore "$job" --detach 2>&1)
	is "$?" 6 "nor from another $space namespace: 6"
	matches "$out" "*namespace*" "which is said"
done
store=$(find "$tmp/store/local/$job" -mindepth 1 -maxdepth 1 -name '0*')
cp -r "$store" dir
chown -R $alice dir
boxed seccomp restore --dir "$PWD/dir" --detach >out 2>&1
matches "$?$(cat out)" "6*seccomp*" "nor from a directory"
matches "$(jobcr list)" "*$job*checkpointed*" "nothing was started"

# What may start a job gets one with no more rights.
boxed nnp restore "$job" --detach >out 2>&1
is "$?" 0 "with no_new_privs one is restored"
is "$(status NoNewPrivs)" 1 "with no_new_privs"
jobcr kill "$job" KILL

boxed limits restore "$job" --detach >out 2>&1
is "$?" 6 "a job with higher limits than who restores it is refused"
matches "$(cat out)" "*Max open files*here it is 64*" "by the name of the limit"
job=$(boxed limits run --detach -- sh -c "$watch")
look
result $? "a job of somebody with limits runs"
as $alice "$top_builddir/jobcr" checkpoint "$job" --kill >out 2>&1
boxed limits restore "$job" --detach >out 2>&1
is "$?" 0 "and is restored by them"
look
is "$(awk '/open files/ { print $4, $5 }' s)" "64 64" "within them"
jobcr kill "$job" KILL
jobcr wait "$job" 2>/dev/null
as $alice "$top_builddir/jobcr" restore "$job" --detach >out 2>&1
look
is "$(awk '/open files/ { print $4, $5 }' s)" "64 64" \
	"it keeps them where there are more"
jobcr kill "$job" KILL

# Rights that programs could give, and how far it stands back behind others.
lowered() {
	timeout 60 setpriv --reuid $alice --regid $alice --clear-groups \
		--bounding-set -all nice -n 15 \
		sh -c 'echo 500 >/proc/self/oom_score_adj; exec "$@"' sh \
		"$top_builddir/jobcr" "$@"
}
is "$(lowered run -- awk '/^CapBnd/ { print $2 }' /proc/self/status)" \
	0000000000000000 "a bounding set stays"
is "$(lowered run -- nice)" "$(nice -n 15 nice)" "nice, too"
is "$(lowered run -- cat /proc/self/oom_score_adj)" 500 "and oom_score_adj"
job=$(as $alice "$top_builddir/jobcr" run --detach -- sh -c "$watch")
[ "$(status CapBnd)" != 0000000000000000 ]
result $? "a job has the bounding set of who starts it"
as $alice "$top_builddir/jobcr" checkpoint "$job" --kill >out 2>&1
lowered restore "$job" --detach >out 2>&1
is "$?" 0 "it is restored by one who has none"
is "$(status CapBnd)" 0000000000000000 "and has none then"
jobcr kill "$job" KILL
roots=$(jobcr run --detach -- sleep 300)
jobcr checkpoint "$roots" --kill >out 2>&1
setpriv --bounding-set -sys_admin "$top_builddir/jobcr" \
	restore "$roots" --detach >out 2>&1
matches "$?$(cat out)" "6*capabilities*" \
	"root restores no job with more capabilities than its own can be"

# Who types into a shell does it outside.
job=$(as $alice "$top_builddir/jobcr" run --pty --detach -- sh)
boxed seccomp attach "$job" </dev/null >out 2>&1
matches "$?$(cat out)" "6*seccomp*" "nobody types into a job from under a filter"
jobcr kill "$job" KILL
finish
