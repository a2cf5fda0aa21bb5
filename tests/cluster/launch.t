#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A job under --jobcr that nobody disturbs is as any other; one without it is
# not touched.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_KILL_WAIT=5

# ended JOBID STATE EXITCODE TEXT
ended() {
	wait_until 30 has_ended "$1"
	is "$(field "$1" JobState) $(field "$1" ExitCode)" "$2 $3" "$4"
}

script facts <<'EOT'
id
umask
pwd
ulimit -n -c
echo "$0" | tr -d 0-9
nice
grep -E '^(Sig[^Q]|Shd|Cap|NoNewPrivs|Seccomp:)' /proc/self/status
cat /proc/self/oom_score_adj
ls /proc/self/fd | tr '\n' ' '
env | grep -vE '^SLURM|^_=|SPANK|^SHLVL|^JOBCR_ENV_FILE=' | sort
EOT
plain=$(submit -w n1 facts)
ours=$(submit -w n1 --jobcr facts)
ended "$plain" COMPLETED 0:0 "a job without --jobcr completes"
ended "$ours" COMPLETED 0:0 "a job with --jobcr completes"
diff "$home/$plain.out" "$home/$ours.out" >"$home/difference"
ok $? "it sees the same user, limits, descriptors and environment" \
	"$(cat "$home/difference")"

inside=$(submit --jobcr --wrap 'echo $$; readlink /proc/self/ns/pid')
outside=$(submit --wrap 'readlink /proc/self/ns/pid')
ended "$inside" COMPLETED 0:0 "a job in its namespace"
ended "$outside" COMPLETED 0:0 "a job outside any"
[ "$(sed -n '$p' "$home/$inside.out")" != "$(cat "$home/$outside.out")" ]
ok $? "--jobcr gives the job a pid namespace of its own"

# OpenMPI names its shared memory by the host, the user and a pid.
other=$(submit --jobcr --wrap 'echo $$')
ended "$other" COMPLETED 0:0 "another job"
[ "$(sed -n 1p "$home/$inside.out")" != "$(cat "$home/$other.out")" ]
ok $? "its pids are not those of the other"

inside=$(submit -w n1 --jobcr --wrap 'readlink /proc/self/ns/ipc')
outside=$(submit -w n1 --jobcr --jobcr-ipc=host \
	--wrap 'readlink /proc/self/ns/ipc')
wait_until 30 has_ended "$inside"
wait_until 30 has_ended "$outside"
node_ipc=$(cluster exec n1 readlink /proc/self/ns/ipc)
is "$(cat "$home/$outside.out")" "$node_ipc" \
	"--jobcr-ipc=host: it has the IPC namespace of the node"
[ "$(cat "$home/$inside.out")" != "$node_ipc" ]
ok $? "else one of its own" "$(cat "$home/$inside.out")"

j=$(submit --jobcr --wrap 'exit 9')
ended "$j" FAILED 9:0 "an exit code is recorded"
j=$(submit --jobcr --wrap 'kill -SEGV $$')
ended "$j" FAILED 0:11 "a death by a signal is recorded"
j=$(submit --jobcr --wrap 'sleep 300 & echo out; echo err >&2')
ended "$j" COMPLETED 0:0 "a job that leaves a process behind completes"
is "$(cat "$home/$j.out" | tr '\n' ' ')" "out err " "both outputs are there"
no_sleeper() {
	! cluster exec "$1" ps -eo args | grep -q '^sleep [3]00'
}
wait_until 10 no_sleeper "$(field "$j" NodeList)"
ok $? "what it left behind is gone"

# scancel: TERM, and KILL after KillWait, as Slurm does it without us.
script stubborn <<'EOT'
trap 'echo "script got TERM"' TERM
(trap '' TERM; setsid sleep 301) &
progress 600 100 2 2 1
wait
sleep 302
EOT
nobody_left() {
	! cluster exec "$1" ps -eo user | grep -q '^alice'
}

# cancelled OPTIONS...: what a cancelled job says and how it ends.
cancelled() {
	j=$(submit "$@" stubborn)
	wait_until 20 printed "$j" 'round 3' || bail "job $j does not run"
	node=$(field "$j" NodeList)
	slurm scancel "$j"
	wait_until 30 has_ended "$j"
	# Slurm's own list of processes misses one that begins meanwhile.
	[ $# -gt 0 ] ||
		cluster exec "$node" sh -c 'kill -KILL $(pgrep -u alice)' 2>&-
	wait_until 20 nobody_left "$node"
	ok $? "scancel $* leaves no process" "$(cluster exec "$node" ps -ef)"
	result="$(field "$j" JobState) $(field "$j" ExitCode)"
	result="$result, $(grep -c 'signal 15' "$home/$j.out") times SIGTERM"
}
cancelled
wanted=$result
cancelled --jobcr
is "$result" "$wanted" "a cancelled job sees and ends what it would without us"
run_dir_gone() {
	! cluster exec "$1" test -e "/run/jobcr/jobs/$2"
}
wait_until 10 run_dir_gone "$node" "$j"
ok $? "its run directory is gone"

j=$(submit --jobcr --wrap 'srun hostname; echo "srun: $?"; exit 4')
ended "$j" FAILED 4:0 "a job with an srun step goes on to its own end"
grep -q 'jobcr: srun: steps cannot be checkpointed yet' "$home/$j.out"
ok $? "the step is refused by name" "$(cat "$home/$j.out")"
grep -q '^srun: 3$' "$home/$j.out"
ok $? "with exit status 3"
j=$(submit --wrap 'srun echo a step')
ended "$j" COMPLETED 0:0 "without --jobcr an srun step runs"
grep -q '^a step$' "$home/$j.out"
ok $? "and prints"
done_testing
