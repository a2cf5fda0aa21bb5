#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job that has started daemons, whose sessions' leaders are dead, is saved
# and restored by the real supervisor: each has its ids, and goes on.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

command -v setsid >/dev/null || {
	echo "1..0 # SKIP no setsid"
	exit 0
}
cat >daemon.sh <<'EOT'
n=0
while :; do
	read -r pid name state ppid pgrp sid rest </proc/self/stat
	n=$((n + 1))
	echo "$pid $sid $n" >>"$1"
	sleep 0.05
done
EOT
# Two in one session, one in another, one in the job's own.
cat >job.sh <<'EOT'
setsid sh -c 'sh daemon.sh one & sh daemon.sh two &'
setsid sh -c 'sh daemon.sh three &'
sh -c 'sh daemon.sh four &'
exec sh daemon.sh main
EOT
files="one two three four main"
all_run() {
	for file in $files; do
		has_lines $file $((at + 3)) || return 1
	done
}
sessions() {
	for file in $files; do
		echo "$file $(cut -d' ' -f1,2 $file | sort -u | tr '\n' ' ')"
	done
}
numbered() {
	for file in $files; do
		cut -d' ' -f3 $file | awk '$1 != NR { exit 1 }' || return 1
	done
}
most() {
	at=0
	for file in $files; do
		[ "$(lines $file)" -le $at ] || at=$(lines $file)
	done
}

job=$(jobcr run --detach -- sh job.sh) at=0
wait_for 20 all_run
result $? "a job with daemons runs"
before=$(sessions)
is "$(cut -d' ' -f2 one two three four main | sort -u | wc -l)" 3 \
	"in three sessions"
for round in 1 2; do
	jobcr checkpoint --kill "$job" >out
	is "$?" 0 "it is saved and ended, time $round"
	most
	jobcr restore --detach "$job" >out 2>err
	is "$?" 0 "and restored" "$(cat err)"
	wait_for 20 all_run
	result $? "all of it goes on"
	is "$(sessions)" "$before" "each in the session that it had"
	numbered
	result $? "and none has lost or repeated anything"
done
jobcr kill "$job" KILL
jobcr wait "$job"
is "$?" 137 "it can be ended"
finish
