#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Whose a snapshot in a directory is, and that an operator becomes nobody else
# by one.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
operator=52003
echo "Operators = {\"$operator\"}" >>"$JOBCR_CONF"
mkdir a op
chown $alice a
chown $operator op
start_daemon
result $? "jobcrd knows an operator by number"

job=$(cd a && as $alice "$top_builddir/jobcr" run --detach -- sleep 300)
jobcr checkpoint "$job" --kill >out 2>&1
roots=$(jobcr run --detach -- sleep 300)
jobcr checkpoint "$roots" --kill >out 2>&1
# copied JOB UID: a snapshot that is that user's now, for all to read.
copied() {
	rm -rf op/dir
	cp -r "$tmp/store/local/$1/0000000001" op/dir
	chown -R "$2:$2" op/dir
	chmod -R a+rX op/dir
}
restore() { # uid
	as "$1" "$top_builddir/jobcr" restore --dir "$tmp/op/dir" --detach \
		>out 2>&1
}

copied "$job" $alice
restore $operator
is "$?" 0 "an operator restores a user's"
jobcr kill "$(sed 's/:.*//' out)" KILL
copied "$roots" 0
restore $operator
matches "$?$(cat out)" "6*root*" "root's is restored by root only"
copied "$job" $alice
chown $operator op/dir/here.meta
restore $operator
matches "$?$(cat out)" "6*here.meta*uid $operator*" \
	"a user's with another's file in it is not restored"
copied "$job" $operator
chown $alice:$alice op/dir/manifest
restore $operator
matches "$?$(cat out)" "6*uid $operator*" "nor one in another's directory"
copied "$roots" 0
chmod o+w op/dir
jobcr restore --dir "$tmp/op/dir" --detach >out 2>&1
matches "$?$(cat out)" "6*write*" "nor root's where others can write"

# Who runs a set-user-ID program of a user's acts as that user.
job=$(cd a && setpriv --ruid $operator --euid $alice --regid $alice \
	--clear-groups "$top_builddir/jobcr" run --detach -- sleep 300 \
	2>"$tmp/out")
is "$?$(cat out)" 0 "who acts as another user may run a job"
as $alice "$top_builddir/jobcr" kill "$job" KILL >out 2>&1
is "$?" 0 "which is that user's"

# What is saved into a directory is read from there again: nobody else is to
# decide what is in it.
# Nothing of whoever runs the tests, such as pipes of theirs, is in it.
on_its_own() { # command...
	exec python3 -c 'import os, sys
os.closerange(3, 4096)
os.execvp(sys.argv[1], sys.argv[1:])' "$@" </dev/null >/dev/null 2>&1
}
begin() { # uid
	on_its_own setpriv --reuid "$1" --regid "$1" --clear-groups \
		setsid sleep 300 &
	pid=$!
	wait_for 10 grep -q sleep /proc/$pid/comm
}
save_into() { # owner mode
	rm -rf op/dir
	mkdir op/dir
	chown "$1" op/dir
	chmod "$2" op/dir
	jobcr checkpoint --pid $pid --leave-running --dir "$tmp/op/dir" \
		>out 2>&1
}
begin $alice
save_into $operator 0777
matches "$?$(cat out)" "6*uid $operator*" \
	"nothing is saved into another user's directory"
[ -z "$(ls -A op/dir)" ]
result $? "which stays empty"
save_into 0 0777
is "$?" 0 "but into one of root's"
save_into $alice 0700
is "$?" 0 "and into one of its own"
kill $pid
begin 0
save_into 0 0777
matches "$?$(cat out)" "6*write*" "nothing of root's where others can write"
save_into 0 0755
is "$?" 0 "but where they cannot"
kill $pid

# The number of a process is its user's word for whose it is.
mkdir op/new
chown $operator op/new
on_its_own setsid sleep 300 &
pid=$!
as $operator "$top_builddir/jobcr" checkpoint --pid $pid \
	--dir "$tmp/op/new" >out 2>&1
matches "$?$(cat out)" "6*root*" "root's processes are saved by root only"
kill $pid
finish
