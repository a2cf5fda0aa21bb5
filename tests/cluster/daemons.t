#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Daemons are killed and restarted at every stage of a job's way from one node
# to the next, keys are changed, users change their minds: the job goes on, or
# ends as its user said, and nothing of it is left anywhere.
. "$(dirname "$0")/lib.sh"

# With linuxproc a requeue's SIGTERM ends the script before anybody can look.
[ -d /sys/fs/cgroup/freezer ] || skip_all "needs the v1 freezer"
# Seals are of one key; this is about requests.
cluster_begin CLUSTER_TRACK=cgroup CLUSTER_KILL_WAIT=5 \
	CLUSTER_GRACE=40 CLUSTER_CONF='Seal = "none"'
libexec=$cluster_dir/opt/libexec
nodes="n1 n2 n3"

# A helper program that waits, while it is told to, before it does anything.
for program in jobcr-worker jobcr-slurm; do
	mv "$libexec/$program" "$libexec/real-$program"
	cat >"$libexec/$program" <<-EOT
		#!/bin/bash
		verb=\${1:-any}
		while [ -e "$cluster_dir/stop-$program-\$verb" ]; do
			echo \$\$ >"$cluster_dir/stopped-$program"
			sleep 0.1
		done
		exec "$libexec/real-$program" "\$@"
	EOT
	chmod 0755 "$libexec/$program"
done

stop() {
	rm -f "$cluster_dir/stopped-${1%-*}"
	touch "$cluster_dir/stop-$1"
}

go() {
	rm -f "$cluster_dir/stop-$1"
}

stopped() {
	wait_until 30 test -s "$cluster_dir/stopped-$1" ||
		bail "no $1 is started"
}

# kill_all NODE WHAT: the worker and jobcrd's children there; WHAT=all: and
# jobcrd itself.  All at once, the worker first.
kill_all() {
	main=$(cluster exec "$1" cat /run/jobcrd.pid)
	others=$(cluster exec "$1" pgrep -x jobcrd | grep -vx "$main")
	[ "$2" = all ] || main=
	# shellcheck disable=SC2046,SC2086
	cluster exec "$1" kill -KILL $(cluster exec "$1" pgrep -x jobcr-worker) \
		$others $main
}

run_dirs_gone() {
	for each in $nodes; do
		[ -z "$(cluster exec "$each" ls -A /run/jobcr/jobs)" ] ||
			return 1
		! cluster exec "$each" ps -eo user | grep -q '^alice' ||
			return 1
	done
}

script job <<'EOT'
progress 400 100 2 2 4
EOT
script short <<'EOT'
progress 400 100 1 1 1
EOT
job=$(submit --jobcr job)
wait_until 30 printed "$job" 'round 5 of' || bail "job $job does not run"
node=$(field "$job" NodeList)

# 1. Between "output put aside" and "requeued".
for what in children all; do
	stop jobcr-slurm-requeue
	vip=$(preempt "$node" 1000)
	stopped jobcr-slurm
	[ -e "$home/.$job.out.jobcr-$job" ] && [ ! -e "$home/$job.out" ]
	ok $? "the output is put aside"
	slurm scancel "$vip"
	cluster new-key
	ok $? "munge has another key"
	kill_all "$node" "$what"
	go jobcr-slurm-requeue
	[ "$what" = children ] || cluster daemon "$node" start
	wait_until 30 test -e "$home/$job.out"
	ok $? "it is back after everybody was killed ($what)" "$(ls -a "$home")"
done
# Slurm does not take its decision back.
wait_until 60 restarted "$job"
ok $? "the next attempt saves the job" "$(slurm scontrol show job "$job")"
node=$(field "$job" NodeList)
last=$(sed -n 's/^round \([0-9]*\) of.*/\1/p' "$home/$job.out" | tail -n 1)
wait_until 20 printed "$job" "round $((last + 5)) of"
ok $? "and the job goes on writing to it"

# 2. jobcrd ends while its child saves the job, and the key is another.
stop jobcr-worker-any
slurm scontrol requeuehold "$job"
stopped jobcr-worker
cluster daemon "$node" kill
go jobcr-worker-any
wait_until 40 held "$job"
ok $? "a checkpoint goes on without jobcrd"
cluster daemon "$node" start
cluster new-key
ok $? "munge has another key on all nodes"

# 3. Everybody ends while the job is being restored.
restores() { # JOB NODE
	grep -c "$1: restore: generation" "$cluster_dir/log/jobcrd-$2.log"
}
restored() { # JOB NODE TIMES: once more
	[ "$(restores "$1" "$2")" -gt "$3" ]
}
stop jobcr-worker-any
release "$job"
stopped jobcr-worker
node=$(field "$job" NodeList)
kill_all "$node" all
before=$(restores "$job" "$node")
go jobcr-worker-any
sleeping() {
	cluster exec "$node" test -S "/run/jobcr/jobs/$job/control"
}
sleeping
ok $? "its supervisor waits when jobcrd and worker were killed in a restore"
cluster new-key
ok $? "munge has yet another key"
cluster slurm ctl restart
ok $? "slurmctld is restarted"
cluster daemon "$node" start
wait_until 30 restored "$job" "$node" "$before"
ok $? "the next jobcrd restores it"
last=$(sed -n 's/^round \([0-9]*\) of.*/\1/p' "$home/$job.out" | tail -n 1)
wait_until 20 printed "$job" "round $((last + 5)) of"
ok $? "it goes on"

# 4. slurmd is killed under it, then it is preempted.
cluster slurm "$node" kill
ok $? "slurmd is killed and started again"
preempt "$node" 2 >/dev/null
wait_until 60 restarted "$job" 3
ok $? "the job is preempted after that, and started again" \
	"$(slurm scontrol show job "$job")"

# 5. Cancelled while it is restored, and while it is saved.
slurm scontrol requeuehold "$job"
wait_until 40 held "$job"
stop jobcr-worker-any
release "$job"
stopped jobcr-worker
slurm scancel "$job"
wait_until 30 has_ended "$job"
wait_until 20 run_dirs_gone
ok $? "a job that is cancelled during its restore leaves nothing"
go jobcr-worker-any
wait_until 30 printed "$job" "round $((last + 5)) of"
ok $? "but the output that it had written" "$(ls -la "$home")"
is "$(field "$job" JobState)" CANCELLED "and it stays cancelled"
job=$(submit --jobcr short)
wait_until 30 printed "$job" 'round 3 of' || bail "job $job does not run"
node=$(field "$job" NodeList)
stop jobcr-worker-any
vip=$(preempt "$node" 2)
stopped jobcr-worker
slurm scancel "$job"
wait_until 30 has_ended "$job"
go jobcr-worker-any
wait_until 30 run_dirs_gone
ok $? "so does one that is cancelled during a checkpoint" \
	"$(cluster exec "$node" ls -A "/run/jobcr/jobs/$job")"
is "$(field "$job" JobState)" CANCELLED "and it stays cancelled"

# 6. A restart where no jobcrd can say whether there is a snapshot.
job=$(submit --jobcr short)
wait_until 30 printed "$job" 'round 3 of' || bail "job $job does not run"
slurm scontrol requeuehold "$job"
wait_until 40 held "$job"
for node in $nodes; do
	cluster daemon $node stop
done
release "$job"
wait_until 40 held "$job"
slurm scontrol show job "$job" |
	grep -q 'AdminComment=jobcr: jobcrd of this node does not answer'
ok $? "without jobcrd a restart is held with the reason" \
	"$(slurm scontrol show job "$job")"
for node in $nodes; do
	cluster daemon $node start
done
release "$job"
wait_until 40 restarted "$job" 2
ok $? "with jobcrd it goes on" "$(slurm scontrol show job "$job")"
slurm scancel "$job"
wait_until 30 run_dirs_gone

# 7. Cancelled when Slurm has started it and its node has not heard of that.
every_slurmd() { # SIGNAL
	for each in $nodes; do
		cluster exec $each kill "-$1" \
			"$(cluster exec $each pgrep -o -x slurmd)"
	done
}
job=$(submit --jobcr short)
wait_until 30 printed "$job" 'round 3 of' || bail "job $job does not run"
slurm scontrol requeuehold "$job"
wait_until 40 held "$job"
rounds=$(grep -c round "$home/.$job.out.jobcr-$job")
every_slurmd STOP
release "$job"
wait_until 40 restarted "$job"
slurm scancel "$job"
every_slurmd CONT
# A start that slurmd had still to do puts it aside and back once more.
is_back() {
	[ "$(grep -c round "$home/$job.out")" = "$rounds" ] &&
		[ -z "$(find "$home" -name '.*jobcr*')" ]
}
wait_until 40 has_ended "$job" && wait_until 30 is_back
ok $? "a job that is cancelled before it goes on has its output back" \
	"$(ls -la "$home")"

done_testing
