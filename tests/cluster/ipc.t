#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job takes its IPC objects and its files in /dev/shm to another node.
. "$(dirname "$0")/lib.sh"

if ! command -v ipcmk >/dev/null; then
	echo "1..0 # SKIP no ipcmk"
	exit 0
fi
cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}"

script objects <<'EOT'
ipcmk -M 100000 >/dev/null && ipcmk -S 7 >/dev/null && ipcmk -Q >/dev/null
exec 5>"/dev/shm/of-$SLURM_JOB_ID"
echo before >&5
look() {
	ipcs -m -s -q | grep ^0x
	cat "/dev/shm/of-$SLURM_JOB_ID"
}
look
echo ready
while [ ! -e "go.$SLURM_JOB_ID" ]; do sleep 0.1; done
echo moved
look
echo after >&5
cat "/dev/shm/of-$SLURM_JOB_ID"
rm "/dev/shm/of-$SLURM_JOB_ID"
EOT
job=$(submit --jobcr objects)
wait_until 20 printed "$job" '^ready$' || bail "job $job does not run"
from=$(field "$job" NodeList)
preempt "$from" 2 >/dev/null
wait_until 60 restarted "$job" 1
ok $? "it is preempted and started again"
touch "$home/go.$job"
wait_until 60 has_ended "$job"
is "$(field "$job" JobState)" COMPLETED "it ends well"
sed '/^ready$/,$d' "$home/$job.out" >"$home/before"
sed '1,/^moved$/d' "$home/$job.out" >"$home/after"
{
	cat "$home/before"
	printf 'before\nafter\n'
} | diff - "$home/after" >"$home/difference"
ok $? "with the objects and the file that it had" "$(cat "$home/difference")"
is "$(wc -l <"$home/before")" 4 "which are a segment, a set, a queue, a file"
is "$(cluster exec "$from" ipcs -m -s -q | grep -c ^0x)" 0 \
	"no object stays on the node"
done_testing
