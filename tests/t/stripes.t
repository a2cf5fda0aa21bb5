#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The memory of a part goes into as many files as Stripes says, through as much
# memory as BufferMemory says.
set -u
built=$(cd "${top_builddir:-.}" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

printf 'Stripes = 17\n' >bad.conf
"$top_builddir/jobcrd" --test --config bad.conf 2>err
matches "$?$(cat err)" "1*Stripes is 17: allowed are 1 to 16*" \
	"too many are refused"
printf 'BufferMemory = "16M"\n' >bad.conf
"$top_builddir/jobcrd" --test --config bad.conf 2>err
matches "$?$(cat err)" "1*BufferMemory*16M*32M to 1G*" "too little is refused"
# The least memory with the most threads.
echo 'BufferMemory = "32M"' >>"$JOBCR_CONF"
echo 'Readers = 64' >>"$JOBCR_CONF"
echo 'Stripes = 4' >>"$JOBCR_CONF"
echo 'Compression = "none"' >>"$JOBCR_CONF"
# 64 MiB of memory that is not zero.
job=$(jobcr run --detach --output out -- \
	"$built/tests/cluster/progress" 9999 20 1 1 64)
wait_for 20 has_lines out 3
jobcr checkpoint "$job" --leave-running >log 2>&1
result $? "a snapshot"
dir=store/local/$job/0000000001
is "$(echo "$dir"/*.pages.*)" "$(for i in 0 1 2 3; do
	printf '%s/here.pages.%s ' "$dir" $i
done | sed 's/ $//')" "its pages are in four files"
for i in 0 1 2 3; do
	size=$(stat -c %s "$dir/here.pages.$i")
	[ "$size" -ge $((14 << 20)) ] && [ "$size" -le $((24 << 20)) ]
	result $? "file $i has its share: $size bytes"
done
jobcr verify "$job" >log 2>&1
result $? "it is whole"
matches "$(jobcr show "$job")" "*here.pages.3*" "show names them"
jobcr checkpoint "$job" --kill >log 2>&1
result $? "the job is saved to the end"
at=$(lines out)
jobcr restore --detach "$job" >log 2>&1
result $? "and restored"
wait_for 20 has_lines out $((at + 3))
result $? "it goes on"
jobcr kill "$job" KILL
# A word in the last of the files.
dir=store/local/$job/0000000002
printf 'XXXX' | dd of="$dir/here.pages.3" bs=1 seek=5000 conv=notrunc 2>/dev/null
jobcr verify "$job" >log 2>&1
is "$?" 5 "damage in any of them is found"
jobcr restore --detach --generation 2 "$job" >log 2>&1
is "$?" 5 "and nothing is restored"
matches "$(cat log)" "*here.pages.3*" "by name"
jobcr delete "$job" >log 2>&1
finish
