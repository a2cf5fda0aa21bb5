#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every way in which Slurm ends the run of a job that is to live on, without
# any grace time: nothing of it is lost, and the job sees none of it.  The
# only one to tell of it is the supervisor, who gets Slurm's signal.
. "$(dirname "$0")/lib.sh"

# With proctrack/linuxproc Slurm's SIGTERM reaches every process by itself.
[ -d /sys/fs/cgroup/freezer ] ||
	skip_all "needs the v1 freezer in /sys/fs/cgroup"
cluster_begin CLUSTER_TRACK=cgroup CLUSTER_GRACE=0 CLUSTER_KILL_WAIT=15 \
	CLUSTER_CONTAIN=no CLUSTER_CONF='SlurmInterval = 0' \
	CLUSTER_SLURM='PartitionName=cancel PriorityTier=1 PreemptMode=CANCEL'

# None ends before Slurm has ended its run.
script plain <<'EOT'
export PROGRESS_END="go.$SLURM_JOB_ID"
echo "begin"
progress 80 100 2 2 2
echo "progress ended with $?"
exit 7
EOT
script trap <<'EOT'
export PROGRESS_END="go.$SLURM_JOB_ID"
trap 'echo "script got TERM"' TERM
progress 80 100 2 2 2 &
wait
echo "waited: $?"
EOT
script deaf <<'EOT'
export PROGRESS_END="go.$SLURM_JOB_ID"
trap '' TERM
(trap 'echo "child got TERM"' TERM; progress 80 100 1 1 1)
echo "progress ended with $?"
EOT
# None is disturbed by anything: what the others must have printed.
touch "$home/go."
for kind in plain trap deaf; do
	cluster as alice ctl sh -c "./$kind >$kind.ref" &
done

at_round() {
	wait_until 30 printed "$1" 'round 10 of' ||
		bail "job $1 does not run: $(cat "$home/$1.out")"
}

has_restarted() {
	[ "$(field "$1" Restarts)" = 1 ]
}

# are_let JOBID...: to their ends, as soon as they have been requeued.
are_let() {
	for j; do
		wait_until 60 has_restarted "$j"
		touch "$home/go.$j"
	done
}

# as_undisturbed JOBID KIND STATE EXITCODE TEXT: its end, seen from outside.
as_undisturbed() {
	wait_until 60 has_ended "$1"
	is "$(field "$1" JobState) $(field "$1" ExitCode) $(field "$1" Restarts)" \
		"$3 $4 1" "$5: it ends as it would have, after one restart"
	same_output "$1.out" "$2.ref" "$5: with the same output"
}

# ---- preempted ----
a=$(submit --jobcr -w n1 plain)
b=$(submit --jobcr -w n2 --signal=B:USR1@60 trap)
c=$(submit --jobcr -w n3 deaf)
for j in $a $b $c; do
	at_round "$j"
done
for node in n1 n2 n3; do
	preempt $node >/dev/null
done
are_let "$a" "$b" "$c"
as_undisturbed "$a" plain FAILED 7:0 "a preempted job"
as_undisturbed "$b" trap COMPLETED 0:0 "a script with a trap, and --signal"
as_undisturbed "$c" deaf COMPLETED 0:0 "a job that ignores SIGTERM"

# ---- PreemptMode=CANCEL, and tasks of an array ----
a=$(submit --jobcr -p cancel -w n1 plain)
array=$(submit --jobcr -x n1 --array=1-2 -o %A_%a.out plain)
at_round "$a"
for task in 1 2; do
	wait_until 30 grep -q 'round 10 of' "$home/${array}_$task.out" ||
		bail "task $task does not run"
done
preempt n1 >/dev/null
preempt "$(field "${array}_1" NodeList)" >/dev/null
slurm scontrol requeue "${array}_2"
are_let "$a" "$(field "${array}_1" JobId)" "$(field "${array}_2" JobId)"
as_undisturbed "$a" plain FAILED 7:0 "PreemptMode=CANCEL"
# Their files carry the array's names.
for task in 1 2; do
	id=$(field "${array}_$task" JobId)
	ln -sf "${array}_$task.out" "$home/$id.out"
	as_undisturbed "$id" plain FAILED 7:0 "task $task of an array"
done

# ---- requeued by hand, and not to be requeued ----
a=$(submit --jobcr -w n1 plain)
b=$(submit --jobcr -w n2 plain)
c=$(submit --jobcr -w n3 --no-requeue plain)
for j in $a $b $c; do
	at_round "$j"
done
slurm scontrol requeue "$a"
slurm scontrol requeuehold "$b"
preempt n3 >/dev/null
are_let "$a"
as_undisturbed "$a" plain FAILED 7:0 "scontrol requeue"
is_held() {
	has_state "$1" PENDING && [ "$(field "$1" Priority)" = 0 ]
}
wait_until 30 is_held "$b"
ok $? "scontrol requeuehold: the job is held" "$(slurm scontrol show job "$b")"
wait_until 30 has_ended "$c"
is "$(field "$c" JobState)" PREEMPTED "--no-requeue: the job is PREEMPTED"
[ -n "$(find "$cluster_dir/shared/store/private/$c" -name manifest)" ]
ok $? "--no-requeue: its snapshot is kept"
touch "$home/go.$b"
slurm scontrol release "$b"
as_undisturbed "$b" plain FAILED 7:0 "released"

# ---- what is not to live on is told so ----
script told <<'EOT'
trap 'echo "script got TERM"; exit 3' TERM
while :; do echo "round 10 of many"; sleep 0.2; done
EOT
a=$(submit --jobcr told)
at_round "$a"
slurm scancel "$a"
wait_until 30 has_ended "$a"
is "$(field "$a" JobState)" CANCELLED "a cancelled job ends so"
printed "$a" 'script got TERM'
ok $? "it sees SIGTERM"
[ -z "$(find "$cluster_dir/shared/store/private/$a" -name manifest 2>/dev/null)" ]
ok $? "and is not checkpointed"
done_testing
