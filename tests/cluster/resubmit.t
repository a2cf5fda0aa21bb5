#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcr restore JOBID of a job of Slurm's, whatever Slurm still knows of it.
. "$(dirname "$0")/lib.sh"

# With proctrack/linuxproc a requeue signals every process by itself.
[ -d /sys/fs/cgroup/freezer ] ||
	skip_all "needs the v1 freezer in /sys/fs/cgroup"
cluster_begin CLUSTER_TRACK=cgroup CLUSTER_GRACE=6 CLUSTER_KILL_WAIT=8 \
	CLUSTER_SLURM='MinJobAge=5
AuthInfo=cred_expire=5'

# None ends before it is let.
script plain <<'EOT'
export PROGRESS_END="go.$SLURM_JOB_ID"
echo "begin"
echo "$SLURM_JOB_ID" >>begun
progress 45 100 2 2 2
echo "progress ended with $?"
exit 7
EOT
touch "$home/go."
cluster as alice ctl sh -c "./plain >plain.ref" &

at_round() {
	wait_until 30 printed "$1" 'round 10 of' ||
		bail "job $1 does not run: $(cat "$home/$1.out")"
}

# restore USER JOBID...: what jobcr says, and how it ends.
restore() {
	who=$1
	shift
	said=$(cluster as "$who" n1 jobcr restore "$@" 2>&1)
}

# completes JOBID FILE TEXT
completes() {
	wait_until 60 has_ended "$1"
	is "$(field "$1" JobState) $(field "$1" ExitCode)" "FAILED 7:0" \
		"$3: it ends as it would have" "$(slurm scontrol show job "$1")"
	same_output "$2.out" plain.ref "$3: its output goes on in the same file"
}

a=$(submit --jobcr --no-requeue -w n1 plain)
at_round "$a"
restore alice "$a"
ok $((! $?)) "a job without a snapshot is not restored"
preempt n1 >/dev/null
snapshot_of() {
	find "$cluster_dir/shared/store/private/$1" -name manifest | grep -q .
}
wait_until 20 snapshot_of "$a"
ok $? "--no-requeue: checkpointed at the begin of the grace time"
touch "$home/go.$a"
is "$(field "$a" JobState)" RUNNING "until its end the job is Slurm's"
restore alice "$a"
[ $? -ne 0 ] && printf '%s' "$said" | grep -q 'still runs'
ok $? "and not restored meanwhile" "$said"
wait_until 60 has_state "$a" PREEMPTED
ok $? "then it is PREEMPTED" "$(slurm scontrol show job "$a")"
restore bob "$a"
is $? 6 "somebody else may not restore it"
restore alice "$a"
is $? 0 "its owner may" "$said"
new=$(printf '%s' "$said" | sed -n 's/^job \([0-9]*\) goes on from.*/\1/p')
[ -n "$new" ] && [ "$new" != "$a" ]
ok $? "under a new id, since Slurm may not requeue it" "$said"
completes "${new:-0}" "$a" "submitted again"

# An administrator keeps it back, its owner brings it back.
b=$(submit --jobcr -w n2 plain)
at_round "$b"
slurm scontrol requeuehold "$b"
is_held() {
	has_state "$1" PENDING && [ "$(field "$1" Priority)" = 0 ]
}
wait_until 30 is_held "$b"
touch "$home/go.$b"
slurm scontrol hold "$b"
restore alice "$b"
[ $? -eq 6 ] && is_held "$b" &&
	printf '%s' "$said" | grep -q 'held by an administrator'
ok $? "what an administrator holds its owner does not release" "$said"
slurm scontrol uhold "$b"
restore alice "$b" --generation 9
is $? 4 "a generation that is not there is named" "$said"
restore alice "$b" --generation 1
is $? 0 "a held job is released" "$said"
completes "$b" "$b" "released"

# Ended and still known: its number is kept.
restore alice "$b"
is "$? $said" "0 job $b goes on from generation 1 when Slurm starts it" \
	"a job that has ended is requeued"
completes "$b" "$b" "requeued"

# Forgotten: from the script that was kept.
forgotten() {
	! slurm scontrol show job "$1"
}
wait_until 90 forgotten "$b" || bail "Slurm does not forget job $b"
restore alice "$b"
is $? 0 "a job that Slurm has forgotten is submitted again" "$said"
new=$(printf '%s' "$said" | sed -n 's/^job \([0-9]*\) goes on from.*/\1/p')
completes "${new:-0}" "$b" "forgotten"
is "$(grep . "$home/begun" | tr '\n' ' ')" "$a $b " \
	"none of them began again at its beginning"
done_testing
