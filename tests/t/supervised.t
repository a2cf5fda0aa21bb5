#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Victims through the commands.  Their harness has a supervisor of its own,
# which may allow what the real one does not: here each is saved and restored
# as a user's job is.
set -u
victims=$(cd "${top_builddir:-.}/tests/victims" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

# through VICTIM: what became of it.
through() {
	dir=$tmp/$1
	mkdir -m 0777 "$dir"
	job=$(VICTIM_DIR=$dir jobcr run --detach -- "$victims/$1.victim") ||
		return
	wait_for 20 test -s "$dir/ready"
	! grep -q ^skip "$dir/ready" || {
		sed 's/^skip/pass/' "$dir/ready"
		return
	}
	jobcr checkpoint --kill "$job" >"$dir/said" 2>&1 &&
		jobcr restore --detach "$job" >"$dir/said" 2>&1 || {
		cat "$dir/said"
		return
	}
	touch "$dir/go"
	jobcr wait "$job"
	cat "$dir/wrong" "$dir/verdict" 2>/dev/null
}
for victim in tree zombie stopped process pidfd pty pty_session creds sched \
	seccomp timer sleeps thread threads vdso mqueue sysv_msg sysv_sem \
	sysv_shm unix_names table; do
	matches "$(through $victim)" "pass *" "$victim"
done
finish
