#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# MaxBandwidth holds for the snapshots of jobs that go on, and only for these.
set -u
built=$(cd "${top_builddir:-.}" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

printf 'MaxBandwidth = "900K"\n' >bad.conf
"$top_builddir/jobcrd" --test --config bad.conf 2>err
matches "$?$(cat err)" "1*MaxBandwidth*1M*" "too low a limit is refused"
echo 'MaxBandwidth = "16M"' >>"$JOBCR_CONF"
start_daemon
# 32 MiB of memory that is not zero.
job=$(jobcr run --detach --output out -- \
	"$built/tests/cluster/progress" 9999 20 1 1 32)
wait_for 20 has_lines out 3

took=0

# milliseconds COMMAND...: how long it took.
milliseconds() {
	begin=$(date +%s%N)
	"$@" >log 2>&1 || return
	took=$((($(date +%s%N) - begin) / 1000000))
}
milliseconds jobcr checkpoint "$job"
result $? "a snapshot of a job that goes on"
slow=$took
[ "$slow" -ge 1700 ]
result $? "it is written no faster than that: $slow ms"
at=$(lines out)
wait_for 20 has_lines out $((at + 3))
result $? "the job goes on"
milliseconds jobcr checkpoint --kill "$job"
result $? "one that ends the job"
[ "$took" -lt "$slow" ]
result $? "is written as fast as can be: $took ms"
jobcr verify "$job" >log 2>&1
result $? "it is whole"
jobcr delete "$job" >log 2>&1
finish
