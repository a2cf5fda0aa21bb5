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
	CLUSTER_KILL_WAIT=5 CLUSTER_CONF='LocalDirs = {"/tmp"}
PrivateDirSize = "1M"
LeaseTime = 4
RequeuedInterval = 1'

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

# starts [ARGUMENT...]: a job, known as $job from then on, that runs on $from.
starts() {
	job=$(submit --jobcr "$@" scratch)
	wait_until 20 printed "$job" '^ready$' || bail "job $job does not run"
	from=$(field "$job" NodeList)
}

# moved WHY: it goes on elsewhere, with all that it had.
moved() {
	wait_until 60 restarted "$job" 1
	ok $? "$1: the job is started again"
	[ "$(field "$job" NodeList)" != "$from" ]
	ok $? "$1: on another node"
	touch "$home/go.$job"
	wait_until 60 has_ended "$job"
	is "$(field "$job" JobState)" COMPLETED "$1: it ends well"
	cat >"$home/wanted" <<-EOT
		ready
		moved
		/tmp/scratch/deep
		of job $job
		after
		of job $job
		after
		unlinked
	EOT
	same_output "$job.out" wanted \
		"$1: with the files and directories that it had"
	same_output "after.$job" "before.$job" \
		"$1: also those that it had not open"
}

starts
cluster exec "$from" test -e /tmp/scratch
is $? 1 "the node does not see the job's /tmp"
cluster exec ctl "$cluster_dir/opt/bin/jobcr" drain "$from" >"$home/drain"
ok $? "its node is drained" "$(cat "$home/drain")"
moved drain
slurm scontrol update nodename="$from" state=resume

starts
preempt "$from" 3 >/dev/null
moved preemption

# What is too much is told before anything is touched.
script fills <<'EOT'
head -c 2M /dev/urandom >/tmp/large
echo ready
sleep 1000
EOT
job=$(submit --jobcr fills)
wait_until 20 printed "$job" '^ready$' || bail "job $job does not run"
at=$(field "$job" NodeList)
for command in check checkpoint; do
	cluster exec "$at" "$cluster_dir/opt/bin/jobcr" $command "$job" \
		>"$home/refused" 2>&1
	grep -q "files of 2 MiB, more than 1, .*/tmp" "$home/refused" &&
		grep -q 'PrivateDirSize' "$home/refused"
	ok $? "jobcr $command says that there is too much in its /tmp" \
		"$(cat "$home/refused")"
done
slurm scancel "$job"

# A snapshot of a job that goes on; what it is requeued for, nobody sees here.
starts
cluster exec "$from" "$cluster_dir/opt/bin/jobcr" checkpoint "$job" \
	>"$home/saved" 2>&1
ok $? "a job that goes on is saved" "$(cat "$home/saved")"
slurm scontrol update nodename="$from" state=drain reason=test
cluster daemon "$from" kill
slurm scontrol requeue "$job"
moved requeue
done_testing
