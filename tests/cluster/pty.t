#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Pseudo terminals of a batch job: they are its own, and have the same numbers
# on the next node.
. "$(dirname "$0")/lib.sh"
own_terminals "$0" "$@"

command -v script >/dev/null || skip_all "needs script"
cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_KILL_WAIT=5

# The outer script's input stays open: at the end of it script sends an
# end-of-file character, which the inner terminal echoes or not, depending on
# which of the two was faster.
script terminals <<'EOT'
export PROGRESS_END="$HOME/go"
mkfifo "input.$SLURM_JOB_ID"
exec 3<>"input.$SLURM_JOB_ID"
stat -c %d /dev/pts >"devpts.$SLURM_JOB_ID"
script -qec '
	tty
	script -qec "
		tty
		progress 160 100 2 2 4
		tty" /dev/null
	tty' /dev/null <&3
echo "ended with $?"
EOT
plain=$(submit terminals)
job=$(submit --jobcr terminals)
# The other one's terminals are its node's: they do not come and go any more.
for each in $plain $job; do
	wait_until 60 printed "$each" 'round 5 of' ||
		bail "job $each does not run"
done
node=$(field "$job" NodeList)
there=$(cluster exec "$node" stat -c %d /dev/pts)
[ "$(cat "$home/devpts.$job")" != "$there" ]
ok $? "a batch job has a /dev/pts of its own"
is "$(cluster exec "$node" sh -c 'ls /dev/pts')" \
	"$(cluster exec ctl sh -c 'ls /dev/pts')" "its node does not see it"
touch "$home/go"
preempt "$node" 2 >/dev/null
wait_until 60 restarted "$job"
ok $? "it is preempted and started again"
wait_until 90 has_ended "$job"
is "$(field "$job" JobState) $(field "$job" ExitCode)" "COMPLETED 0:0" \
	"it ends well"
wait_until 90 has_ended "$plain"
same_output "$job.out" "$plain.out" "with the output of an undisturbed run"
printed "$job" /dev/pts/1
ok $? "one terminal inside the other" "$(cat "$home/$job.out")"
done_testing
