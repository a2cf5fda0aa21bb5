#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An interactive step (srun --pty) is none of Slurm's batch jobs, which alone it
# starts again: what runs there under `jobcr run --pty` is saved, and goes on in the
# terminal of another step on another node.
. "$(dirname "$0")/lib.sh"
own_terminals "$0" "$@"

command -v script >/dev/null || skip_all "needs script"
cluster_begin

# terminal NAME NODE COMMAND: alice's, with such a step in it; its input is a
# fifo, which stays open: at its end script would send an end-of-file character.
terminal() {
	mkfifo "$home/$1.in" && chown --reference="$home" "$home/$1.in" || return
	cat >"$home/$1.sh" <<EOT
exec 3<>"$1.in"
exec script -qefc 'stty cols $4 rows 20
srun --quiet -w $2 --exclusive --pty $3' "$1.out" <&3 >/dev/null
EOT
	cluster as alice ctl bash "$1.sh" >"$home/$1.log" 2>&1 &
}

type_in() {
	printf '%s\n' "$2" >"$home/$1.in"
}

shows() {
	grep -aq "$2" "$home/$1.out" 2>/dev/null
}

cat >"$home/shell" <<'EOT'
echo begins
PS1= exec bash --norc -i
EOT
terminal first n1 'jobcr run --pty -- sh ./shell' 97
wait_until 30 shows first begins
type_in first 'x=41; echo "here: $(tty) $(stty size) $(hostname) $SLURM_JOB_ID"'
wait_until 30 shows first '^here: /dev/pts/[0-9]* 20 97 n1'
ok $? "a shell in an interactive step" \
	"$(cat "$home/first.out" "$home/first.log")"
type_in first 'sleep 1000 | cat &'
type_in first 'jobs; echo "waits: $!"'
wait_until 30 shows first '^waits: [0-9]'
id=$(cluster as alice n1 jobcr list | grep -o 'local-[0-9]*' | head -n 1)
said=$(cluster as alice n1 jobcr checkpoint --kill "$id" 2>&1)
ok $? "it is saved, and ends" "$said"
wait_until 30 sh -c '! kill -0 $1 2>/dev/null' - "$!"
ok $? "so does its step"
terminal second n2 "jobcr restore $id" 83
wait_until 30 test -s "$home/second.out"
type_in second 'echo "there: $((x + 1)) $(tty) $(stty size)"; jobs'
wait_until 30 shows second '^there: 42 /dev/pts/[0-9]* 20 83'
ok $? "the shell goes on in the terminal of a step on another node" \
	"$(cat "$home/second.out" "$home/second.log")"
wait_until 30 shows second 'Running *sleep 1000 | cat'
ok $? "with its jobs"
type_in second 'set -o | grep monitor; fg'
wait_until 30 shows second '^monitor[[:space:]]*on'
ok $? "and job control"
printf '\003' >"$home/second.in"
type_in second 'echo "the pipe: $?"'
wait_until 30 shows second '^the pipe: 130'
ok $? "a key of the new terminal interrupts what is in the foreground"
type_in second 'exit 3'
wait "$!"
is $? 3 "and its status is that of the step"
done_testing
