#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a restored job has is of its new allocation: environment, cgroups,
# memory limit, time limit; and Slurm's own commands do with it what they do
# with any other.
. "$(dirname "$0")/lib.sh"

[ -d /sys/fs/cgroup/freezer ] && track=cgroup || track=linuxproc
cluster_begin CLUSTER_TRACK="${TRACK:-$track}" CLUSTER_KILL_WAIT=5 \
	CLUSTER_SELECT=CR_CPU_Memory CLUSTER_GPUS=2

# No process of the job waits at a place of its own: it goes where it is let.
script aware <<'EOT'
echo "file $(stat -c '%a %U' "$JOBCR_ENV_FILE")"
echo "quoted: $ODD"
last=
until [ -e "go.$SLURM_JOB_ID" ]; do
	now=$(
		. "$JOBCR_ENV_FILE"
		echo "$SLURMD_NODENAME ${SLURM_RESTART_COUNT:-0} $ODD"
	)
	if [ "$now" != "$last" ]; then
		cut -d: -f2- /proc/self/cgroup | grep -E '(freezer|memory)' |
			sed 's,.*/\(job_.*\),in \1,' | sort -u
		echo "at $now"
	fi
	last=$now
	sleep 0.2
done
exit 5
EOT
job=$(cluster as alice ctl env "ODD=it's \$HOME" sbatch --parsable \
	--mem=100 --exclusive -o %j.out --jobcr aware)
wait_until 30 printed "$job" '^at ' || bail "job $job does not run"
first=$(field "$job" NodeList)
other=$(cluster as alice "$first" ls "/run/jobcr/env" 2>&1)
echo "$other" | grep -qi 'permission denied'
ok $? "nobody looks around among the environments" "$other"
vip=$(preempt "$first" 1000)
wait_until 60 restarted "$job"
ok $? "a job is preempted and started again"
second=$(field "$job" NodeList)
wait_until 30 printed "$job" "^at $second 1 it's [\$]HOME"
ok $? "JOBCR_ENV_FILE holds the environment of the new allocation" \
	"$(cat "$home/$job.out")"
is "$(sed -n 1p "$home/$job.out")" "file 600 alice" "only its user can read it"
if [ "${TRACK:-$track}" = cgroup ]; then
	is "$(grep -c "^in job_$job/step_batch" "$home/$job.out")" \
		"$(grep -c '^in ' "$home/$job.out")" \
		"its processes are in the cgroups of Slurm's step, both times"
else
	skip "no cgroups without the v1 freezer"
fi

slurm scontrol suspend "$job"
wait_until 20 has_state "$job" SUSPENDED
ok $? "a restored job can be suspended"
slurm scontrol resume "$job"
wait_until 20 has_state "$job" RUNNING
ok $? "and resumed"
slurm scontrol requeuehold "$job"
wait_until 40 held "$job"
ok $? "and requeued and held"
slurm scancel "$vip"
release "$job"
wait_until 60 restarted "$job" 2
ok $? "and released"
third=$(field "$job" NodeList)
wait_until 30 printed "$job" "^at $third 2"
ok $? "it goes on, with the count of restarts" "$(cat "$home/$job.out")"
touch "$home/go.$job"
wait_until 30 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "FAILED 5:0" \
	"to its own exit code"
grep "^JobId=$job " "$cluster_dir/log/jobcomp.txt" | tail -n 1 |
	grep -q 'JobState=FAILED .*ExitCode=5:0'
ok $? "which Slurm's accounting has" \
	"$(grep "^JobId=$job " "$cluster_dir/log/jobcomp.txt")"
env_gone() {
	! cluster exec "$third" test -e "/run/jobcr/env/$job"
}
wait_until 10 env_gone
ok $? "the file with the environment is gone"

# Slurm looks at time limits every half minute.
if [ -n "${LONG:-}" ]; then
	script limited <<-'EOT'
		progress 1200 100 1 2 4
	EOT
	job=$(submit --jobcr --mem=100 --time=1 limited)
	wait_until 30 printed "$job" 'round 5 of' || bail "job $job does not run"
	vip=$(preempt "$(field "$job" NodeList)" 2)
	wait_until 60 restarted "$job"
	ok $? "a job with a time limit is preempted and started again"
else
	skip "time limits take two minutes: LONG=1"
fi

if [ "${TRACK:-$track}" = cgroup ]; then
	script big <<-'EOT'
		progress 60 100 1 2 96
	EOT
	big=$(submit --jobcr --mem=400 big)
	wait_until 30 printed "$big" 'round 3 of' || bail "job $big: no start"
	slurm scontrol requeuehold "$big"
	wait_until 40 held "$big"
	slurm scontrol update jobid="$big" minmemorynode=40
	release "$big"
	reason() {
		slurm scontrol show job "$big" | sed -n 's/^ *AdminComment=//p'
	}
	small() {
		held "$big" && reason | grep -q 'may use no more than 40 MiB'
	}
	wait_until 40 small
	ok $? "a job that does not fit into its memory limit is held" \
		"$(slurm scontrol show job "$big")"
	slurm scontrol update jobid="$big" minmemorynode=400
	release "$big"
	wait_until 60 has_ended "$big"
	is "$(field "$big" JobState) $(tail -n 1 "$home/$big.out")" \
		"COMPLETED done, 1 processes ended well" \
		"with enough of it it completes"
else
	skip "no memory limit without cgroups"
	skip "no memory limit without cgroups"
fi

# The same GPU is taken elsewhere: there it has the other one.
script gpu <<'EOT'
until [ "$last" = stop ]; do
	now=$(
		. "$JOBCR_ENV_FILE"
		echo "$SLURMD_NODENAME $SLURM_JOB_GPUS $CUDA_VISIBLE_DEVICES"
	)
	[ "$now" = "$last" ] || echo "gpu $now"
	last=$now
	[ -e stop ] && last=stop
	sleep 0.1
done
EOT
share() {
	cluster as alice ctl sbatch --parsable -n 1 --mem=100 --gres=gpu:1 \
		-o %j.out "$@"
}
gpu=$(share -x n3 --jobcr gpu)
wait_until 30 printed "$gpu" '^gpu ' || bail "job $gpu does not run"
first=$(field "$gpu" NodeList)
is "$(cat "$home/$gpu.out")" "gpu $first 0 0" "a job has a GPU"
[ "$first" = n1 ] && other=n2 || other=n1
taken=$(share -w $other --wrap 'sleep 1000')
wait_until 30 has_state "$taken" RUNNING || bail "job $taken does not run"
slurm scontrol update nodename="$first" state=drain reason=test
slurm scontrol requeue "$gpu"
wait_until 60 restarted "$gpu"
wait_until 30 printed "$gpu" "^gpu $other 1 1$"
ok $? "restored it sees the one of its new allocation" \
	"$(cat "$home/$gpu.out")"
touch "$home/stop"
wait_until 30 has_ended "$gpu"
is "$(field "$gpu" JobState) $(grep ^gpu "$home/$gpu.out")" \
	"COMPLETED gpu $first 0 0
gpu $other 1 1" "and goes on with it"

if [ -n "${LONG:-}" ]; then
	wait_until 110 has_ended "$job"
	is "$(field "$job" JobState)" TIMEOUT \
		"the time limit ends a restored job"
fi
done_testing
