#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Somebody reads a snapshot that a newer one would replace, or that is deleted:
# it stays as long as that takes, and with --force the reader is told.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

cat >>"$JOBCR_CONF" <<CONF
Keep = 1
Stripes = 2
Compression = "none"
CONF
cat >job.py <<'PY'
import os, time
kept = os.urandom(8 << 20)
while not os.path.exists("end"):
    print(len(kept), flush=True)
    time.sleep(0.02)
PY
exists() { # generation
	[ -e "store/local/$job/000000000$1/manifest" ]
}
# reader GENERATION: it hangs in the middle of what it writes, until "go".
reader() {
	rm -f go pipe begun
	mkfifo pipe
	(
		head -c 1000000 >x.tar
		: >begun
		wait_for 30 test -e go
		cat >>x.tar
	) <pipe &
	sink=$!
	"$top_builddir/jobcr" export "$job.$1" -o - >pipe 2>err &
	asker=$!
	wait_for 10 test -e begun
}
go_on() {
	: >go
	wait "$asker"
	status=$?
	wait "$sink"
}

job=$(jobcr run --detach --output o.txt -- python3 job.py)
wait_for 10 has_lines o.txt 2
jobcr checkpoint "$job" >log
reader 1
jobcr checkpoint "$job" >log
exists 1 && exists 2
result $? "what is read is not retired"
jobcr delete "$job" --generation 1 >log 2>&1
is "$?" 1 "nor deleted"
matches "$(cat log)" "*reads it*--force*" "the message says why"
go_on
is "$status" 0 "it is read to its end: $(cat err)"
tar tf x.tar >log 2>&1
result $? "whole"

reader 2
kill -KILL "$asker"
wait "$asker" 2>/dev/null
: >go
wait "$sink"
jobcr checkpoint "$job" >log
! exists 1 && ! exists 2 && exists 3
result $? "when nobody reads them, killed or not, both are retired"

reader 3
jobcr delete "$job" --generation 3 --force >log 2>&1
is "$?" 0 "with --force it is deleted all the same"
go_on
is "$status" 4 "which is no damage for its reader"
matches "$(cat err)" "*deleted meanwhile*" "but said"

jobcr checkpoint "$job" --kill >log
jobcr wait "$job" 2>/dev/null
steps restore "$job" --detach
step_to build
jobcr delete "$job" >log 2>&1
is "$?" 1 "nor is what a restore reads deleted"
kill -KILL "$(worker_of "$asker")"
exec 9>&-
wait "$asker"
if command -v strace >/dev/null; then
	# Slow, from the manifest on.
	strace -f -o trace -e trace=openat -e inject=openat:delay_enter=30000 \
		"$top_builddir/jobcr" restore "$job" --detach >err 2>&1 &
	asker=$!
	wait_for 10 grep -q '"manifest"' trace
	jobcr delete "$job" --force >log 2>&1
	wait "$asker"
	is "$?" 4 "deleted all the same it is no damage for a restore"
	matches "$(cat err)" "*deleted meanwhile*" "but said"
fi
: >end
finish
