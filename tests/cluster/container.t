#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Slurm gives each job a /tmp of its own (job_container/tmpfs): all that the job
# has there goes with it to another node.
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
mkdir -m 2750 /tmp/tree
mkdir /tmp/tree/closed
echo result >/tmp/tree/closed/result
chmod 600 /tmp/tree/closed/result
touch -d @1234567890.5 /tmp/tree/closed/result
chmod 500 /tmp/tree/closed
touch -d @1111111111 /tmp/tree/closed
ln -s closed/result /tmp/tree/link
ln -s /nowhere /tmp/tree/nowhere
ln file /tmp/tree/hard
mkfifo -m 640 /tmp/tree/fifo
truncate -s 64M /tmp/tree/sparse
echo end >>/tmp/tree/sparse
python3 - <<'PY'
import os, socket
s = socket.socket(socket.AF_UNIX)
s.bind("/tmp/tree/socket")
try:
	os.setxattr("/tmp/tree/sparse", "user.note", b"kept")
except OSError:
	pass
PY
echo shared >/dev/shm/named
touch -d @1222222222 /tmp/tree
look() {
	cd /tmp/tree && stat -c '%n %A %s %Y %h' . [!h]* closed/result | sort
	stat -c %A hard
	readlink link nowhere
	cat link /dev/shm/named
	tail -c 4 sparse
	[ "$(stat -c %b sparse)" -lt 100 ] && echo has holes
	[ hard -ef /tmp/scratch/deep/file ] && echo the same file
	[ hard -ef /proc/$$/fd/5 ] && echo the open file
	python3 -c 'import os
print(os.listxattr("/tmp/tree/sparse"))'
	cd /tmp/scratch/deep
}
look >"$HOME/before.$SLURM_JOB_ID"
echo ready
while [ ! -e "$HOME/go.$SLURM_JOB_ID" ]; do sleep 0.1; done
echo moved
echo after >&5
/bin/pwd
cat file
cat /tmp/scratch/deep/file /proc/self/fd/6
look >"$HOME/after.$SLURM_JOB_ID"
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
same_output "after.$job" "before.$job" "also those that it had not open"
done_testing
