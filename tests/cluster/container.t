#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Slurm gives each job a /tmp of its own (job_container/tmpfs): the files that
# the job has open there go with it to another node.
#
# Whether Linux 6.18 lets Slurm make one depends on the order of the numbers of
# two mount namespaces, which only those made on the same CPU have.
[ "${PINNED_TO:-}" ] || PINNED_TO=0 exec taskset -c 0 sh "$0" "$@"
. "$(dirname "$0")/lib.sh"

# Below /tmp the job would not see its home.
CLUSTER_BELOW=/var/tmp
cluster_begin CLUSTER_SLURM="JobContainerType=job_container/tmpfs" \
	CLUSTER_CONF='LocalDirs = {"/tmp"}'

script scratch <<'EOT'
mkdir -p /tmp/scratch/deep
echo "of job $SLURM_JOB_ID" >/tmp/scratch/deep/file
exec 5>>/tmp/scratch/deep/file 6>/tmp/gone
echo unlinked >/tmp/gone
rm /tmp/gone
cd /tmp/scratch/deep
echo ready
while [ ! -e "$HOME/go.$SLURM_JOB_ID" ]; do sleep 0.1; done
echo moved
echo after >&5
/bin/pwd
cat file
cat /tmp/scratch/deep/file /proc/self/fd/6
EOT
cat >"$home/wanted" <<'EOT'
ready
moved
/tmp/scratch/deep
of job 1
after
of job 1
after
unlinked
EOT
job=$(submit --jobcr scratch)
wait_until 20 printed "$job" '^ready$' || bail "job $job does not run"
from=$(field "$job" NodeList)
cluster exec "$from" test -e /tmp/scratch
is $? 1 "the node does not see the job's /tmp"
cluster exec ctl "$cluster_dir/opt/bin/jobcr" drain "$from" >"$home/drain"
ok $? "its node is drained" "$(cat "$home/drain")"
wait_until 60 restarted "$job" 1
ok $? "the job is started again"
[ "$(field "$job" NodeList)" != "$from" ]
ok $? "on another node"
touch "$home/go.$job"
wait_until 60 has_ended "$job"
is "$(field "$job" JobState)" COMPLETED "it ends well"
same_output "$job.out" wanted "with the files and directories that it had"
done_testing
