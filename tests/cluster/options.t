#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What sbatch accepts and refuses, what of it reaches the job, and default=on.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_DEFAULT=on

# refused WORDS OPTION...: sbatch says so, and submits nothing.
refused() {
	words=$1
	shift
	said=$(submit "$@" --wrap true 2>&1)
	[ $? -ne 0 ] && printf '%s' "$said" | grep -q -- "$words"
	ok $? "sbatch refuses $*" "$said"
}
refused 'interval "soon": a time like 30m, or auto' --jobcr-interval=soon
refused 'interval "0"' --jobcr-interval=0
refused 'timelimit "-1": a time like 5m' --jobcr-timelimit=-1
refused 'signal "USR9@30": a signal and the seconds' --jobcr-signal=USR9@30
refused 'signal "KILL@30"' --jobcr-signal=KILL@30
refused 'files "some": rollback, keep or refuse' --jobcr-files=some
refused 'isa "haswell": x86-64-v2, x86-64-v3 or x86-64-v4' --jobcr-isa=haswell
refused 'ipc "none": private or host' --jobcr-ipc=none
refused 'peers "keep": refuse or reset' --jobcr-peers=keep
refused 'jobcr=maybe: on or off' --jobcr=maybe
is "$(slurm squeue -h)" "" "nothing of that was submitted"

# A job that waits to be looked at, and ends when told.
script wait <<'EOT'
#SBATCH --jobcr-interval=30m
echo $$
while [ ! -e "go.$SLURM_JOB_ID" ]; do sleep 0.1; done
EOT
script level <<'EOT'
echo $$
echo "$GLIBC_TUNABLES"
while [ ! -e "go.$SLURM_JOB_ID" ]; do sleep 0.1; done
EOT
sed /SBATCH/d "$home/wait" >"$home/bare"
chmod 0755 "$home/bare"

# options_of NODE JOBID: what its supervisor was told, if it has one.
options_of() {
	cluster exec "$1" ps -eo args |
		sed -n "s/^jobcr-supervisor --slurm $2 .*--options \(.*\) --child.*/(\1)/p"
}

# reaches WANTED TEXT SBATCH-ARGUMENTS...
reaches() {
	wanted=$1 text=$2
	shift 2
	j=$(submit -w n1 "$@")
	wait_until 20 printed "$j" . || bail "job $j does not run"
	is "$(options_of n1 "$j")" "$wanted" "$text"
	touch "$home/go.$j"
	wait_until 20 has_state "$j" COMPLETED || bail "job $j does not end"
}
reaches "(interval=1800)" "#SBATCH --jobcr-interval reaches the supervisor" \
	wait
reaches "(interval=auto,timelimit=300,signal=10@30)" \
	"so do all options of the command line, which wins" \
	--jobcr-interval=auto --jobcr-timelimit=5m --jobcr-signal=USR1@30 wait
reaches "(interval=1800,files=keep)" "what becomes of its files" --jobcr-files=keep wait
reaches "(isa=x86-64-v3)" "a level of the CPU" --jobcr-isa=x86-64-v3 level
is "$(sed -n 2p "$home/$j.out" | cut -c 1-26)" "glibc.cpu.hwcaps=-AVX512F," \
	"which the C library keeps to"
reaches "(interval=1800,ipc=host)" "the wish for the IPC of the node" --jobcr-ipc=host wait
reaches "(interval=1800,peers=reset)" "what becomes of others" --jobcr-peers=reset wait
reaches "" "--jobcr=off wins over the script's options" --jobcr=off wait
reaches "()" "default=on: a job without options has a supervisor" bare
reaches "" "default=on: --jobcr=off has none" --jobcr=off bare

script step <<'EOT'
srun sh -c 'echo a step; while [ ! -e "go.$SLURM_JOB_ID" ]; do sleep 0.1; done'
echo "srun: $?"
EOT
j=$(submit -w n1 step)
wait_until 30 printed "$j" '^a step$'
ok $? "default=on: a job that did not ask keeps its steps" \
	"$(cat "$home/$j.out")"
said=$(cluster as alice n1 jobcr checkpoint "$j" 2>&1)
[ $? -eq 3 ] && printf '%s' "$said" | grep -q srun
ok $? "while a step runs, its checkpoint is refused" "$said"
touch "$home/go.$j"
wait_until 30 has_state "$j" COMPLETED
is "$(tail -n 1 "$home/$j.out")" "srun: 0" "which the step does not notice"
cluster as alice ctl srun -Q echo alone >"$cluster_dir/alone" 2>&1
is "$(cat "$cluster_dir/alone")" alone "default=on: srun by itself works"
done_testing
