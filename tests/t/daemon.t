#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcrd and two users: each reaches their own jobs and no others.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
bob=52002
mkdir a
chown $alice a
cp "$top_builddir/jobcr" "$tmp/jobcr" 2>/dev/null
jobcr_a() {
	(cd a && as $alice "$top_builddir/jobcr" "$@")
}
jobcr_b() {
	as $bob "$top_builddir/jobcr" "$@"
}

printf 'Keep = 2000\n' | cat "$JOBCR_CONF" - >bad.conf
"$top_builddir/jobcrd" --test --config bad.conf 2>err
is "$?" 1 "a bad value in the configuration is found"
matches "$(cat err)" "*bad.conf, line [0-9]*: *Keep*1 to 1000*" \
	"with file, line and what is allowed"
printf 'Kep = 2\n' >bad.conf
"$top_builddir/jobcrd" --test --config bad.conf 2>err
matches "$?$(cat err)" "1*line 1*Kep*" "and an unknown key"
"$top_builddir/jobcrd" --test >/dev/null
is "$?" 0 "a good one is good"

jobcr_a list >/dev/null 2>&1
is "$?" 7 "without jobcrd a user is told so: 7"
start_daemon
result $? "jobcrd listens"

jobcr_a run -- sh -c 'id -u; id -g; exit 4' >out
is "$?" 4 "a user's job ends as it ends"
is "$(tr '\n' ' ' <out)" "$alice $alice " "it runs as the user"
is "$(jobcr_a run -- grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status |
	awk '{ print $2 }' | sort -u)" 0000000000000000 "with no capability"
is "$(ulimit -n 64 && jobcr_a run -- sh -c 'ulimit -n; ulimit -Hn' |
	tr '\n' ' ')" "64 64 " "within the limits of who asks"
is "$(as $alice setpriv --no-new-privs "$top_builddir/jobcr" run -- \
	grep NoNewPrivs /proc/self/status | tr -dc 01)" 1 "no_new_privs stays"
is "$(LD_PRELOAD=/nonexistent.so jobcr_a run -- \
	sh -c 'echo $LD_PRELOAD' 2>/dev/null)" /nonexistent.so \
	"its environment is the job's, not the supervisor's"
as $alice unshare --user --mount true 2>/dev/null &&
	matches "$(as $alice unshare --user --mount \
		"$top_builddir/jobcr" run -- id 2>&1)" "*namespace*" \
		"nobody leaves a namespace by it"

# As many as there are places, of as many users as that takes.
python3 - "$tmp/run/jobcrd.sock" >crowd <<'PY' &
import os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held = []
for uid in range(53000, 53017):
    os.seteuid(uid)
    for i in range(64):
        held.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        held[-1].connect(sys.argv[1])
    os.seteuid(0)
print("there", flush=True)
held[0].settimeout(30)
held[0].recv(1)
PY
crowd=$!
wait_for 30 grep -q there crowd
matches "$(jobcr list 2>&1)" "JOBID*" "a crowd of users leaves room for root"
matches "$(as 53000 "$top_builddir/jobcr" list 2>&1)" \
	"*no more requests of yours*" "one of them is told why not"
{
	kill $crowd
	wait $crowd
} 2>/dev/null

job=$(jobcr_a run --detach --output o.txt -- sh -c "$(count_on 300)")
wait_for 10 has_lines a/o.txt 20
is "$(stat -c %u a/o.txt)" $alice "the output file is the user's"
for what in "kill $job" "checkpoint $job --kill" "restore $job" \
	"wait $job"; do
	# shellcheck disable=SC2086
	timeout 5 setpriv --reuid $bob --regid $bob --clear-groups \
		"$top_builddir/jobcr" $what >/dev/null 2>&1
	matches "$?" "[46]" "another user may not: $what"
done
matches "$(jobcr_b list)" "JOBID*NAME" "nor see it in a list"
[ "$(jobcr_b list | wc -l)" = 1 ]
result $? "which is empty"
matches "$(jobcr_a list)" "*$job*running*" "its owner sees it"
matches "$(jobcr list)" "*$job*running*" "root, too"

jobcr_a checkpoint "$job" --leave-running >out
is "$?" 0 "the owner checkpoints it"
is "$(find store -path '*local-*' ! -uid $alice | wc -l)" 0 \
	"the snapshot belongs to the owner"
is "$(find store -path '*local-*' -perm /077 | wc -l)" 0 \
	"and nobody else can read it"
jobcr_a verify "$job" >/dev/null
is "$?" 0 "who can verify it"
jobcr_b verify "$job" >/dev/null 2>&1
is "$?" 6 "and another user cannot: 6"
jobcr_b restore "$job" --detach >/dev/null 2>&1
is "$?" 6 "nor restore it: 6"

# jobcrd is killed and started again: the job notices nothing, and neither
# does who waits for it.
jobcr_a wait "$job" &
waiter=$!
sleep 0.2
stop_daemon KILL
n=$(lines a/o.txt)
wait_for 10 has_lines a/o.txt $((n + 10))
result $? "a job goes on when jobcrd is killed"
start_daemon
matches "$(jobcr_a list)" "*$job*running*" "a new jobcrd finds it"
jobcr_a checkpoint "$job" --kill >out
is "$?" 0 "and checkpoints it"
wait $waiter 2>/dev/null
is "$?" 75 "who waited all the time is told"
: >a/go
jobcr_a restore "$job" >out
is "$?" 6 "its owner restores it in the foreground"
whole a/o.txt "$(cat a/end)"
result $? "the output is whole"

# Images are the owner's files: an edited one gains nothing.
jobcr_a restore --dir "$tmp/store" >/dev/null 2>&1
matches "$?" "[46]" "a directory without a snapshot of the user's"

# Signals through the daemon.
(cd a && exec setpriv --reuid $alice --regid $alice --clear-groups \
	"$top_builddir/jobcr" run -- sh -c 'trap "exit 9" TERM
	echo up; while :; do sleep 0.02; done') >sig.out &
pid=$!
wait_for 10 grep -q up sig.out
kill -TERM $pid
wait $pid
is "$?" 9 "a signal to a user's jobcr run reaches the job"
finish
