#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A snapshot of a job of Slurm's is carried away as one file, and goes on as a
# job of a Slurm that has never heard of it.
. "$(dirname "$0")/lib.sh"

# With proctrack/linuxproc a requeue signals every process by itself.
[ -d /sys/fs/cgroup/freezer ] ||
	skip_all "needs the v1 freezer in /sys/fs/cgroup"
cluster_begin CLUSTER_TRACK=cgroup CLUSTER_GRACE=6 CLUSTER_KILL_WAIT=8 \
	CLUSTER_SLURM='AuthInfo=cred_expire=5'

# None ends before it is let.
script plain <<'EOT'
export PROGRESS_END="go.$SLURM_JOB_ID"
echo "begin"
progress 45 100 2 2 2
echo "progress ended with $?"
exit 7
EOT
touch "$home/go."
cluster as alice ctl sh -c "./plain >plain.ref" &

a=$(submit --jobcr --no-requeue -w n1 plain)
wait_until 30 printed "$a" 'round 10 of' || bail "job $a does not run"
preempt n1 >/dev/null
wait_until 60 has_state "$a" PREEMPTED
ok $? "a job is saved and ends" "$(slurm scontrol show job "$a")"
touch "$home/go.$a"

# import ARGUMENTS...: as root.
import() {
	cluster exec n1 env JOBCR_CONF="$cluster_dir/etc/jobcr.conf" \
		"$cluster_dir/opt/bin/jobcr" import "$@"
}
said=$(cluster as alice n1 jobcr export "$a" -o job.tar 2>&1)
ok $? "its user exports it" "$said"
said=$(import "$home/job.tar" --user alice --as "$a" 2>&1)
[ $? -eq 1 ] && printf '%s' "$said" | grep -q "there is a job $a already"
ok $? "it is not imported beside itself" "$said"
cluster as alice n1 jobcr delete "$a" --force >/dev/null 2>&1
rm -rf "$cluster_dir/shared/store/private/$a"
said=$(import "$home/job.tar" --user alice 2>&1)
[ $? -eq 1 ] && printf '%s' "$said" | grep -q "Slurm has a job $a"
ok $? "nor as a job that Slurm knows" "$said"
said=$(import "$home/job.tar" --user alice --as 9000 2>&1)
ok $? "but by another number" "$said"
said=$(cluster as alice n1 jobcr restore 9000 2>&1)
ok $? "by which its user submits it again" "$said"
new=$(printf '%s' "$said" | sed -n 's/^job \([0-9]*\) goes on from.*/\1/p')
wait_until 60 has_ended "${new:-0}"
is "$(field "${new:-0}" JobState) $(field "${new:-0}" ExitCode)" "FAILED 7:0" \
	"it ends as it would have" "$(slurm scontrol show job "${new:-0}")"
same_output "$a.out" plain.ref "its output goes on in the same file"
done_testing
