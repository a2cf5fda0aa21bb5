#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Nobody asks jobcr before a node dies or an administrator requeues: Slurm has
# then truncated the output of a job that goes on from a periodic snapshot.
# It is whole all the same, in one file or two, truncated or appended to; and
# where it cannot be, the job is held with the reason.
. "$(dirname "$0")/lib.sh"

cluster_begin CLUSTER_TRACK="${TRACK:-linuxproc}" CLUSTER_KILL_WAIT=5 \
	CLUSTER_CONF='LeaseTime = 4
RequeuedInterval = 0
KeepOutput = "64K"'

# Both streams from several processes.  The first line is long: 8 KiB.  None
# ends before it is let.
script talks <<'EOT'
printf '%08192d\n' 0
for i in $(seq ${1:-60}); do
	until [ $i -lt 50 ] || [ -e go ]; do
		sleep 0.1
	done
	echo "out $i"
	(echo "error $i" >&2)
	/bin/echo "child $i" | cat
	sleep 0.1
done
EOT
script floods <<'EOT'
printf '%0131072d\n' 0
while sleep 0.1; do
	:
done
EOT

# talk SBATCH-ARGUMENTS...
talk() {
	cluster as alice ctl sbatch --parsable -n1 "$@"
}
one=$(talk -x n2,n3 --jobcr-interval=2s -o one.out talks)
two=$(talk -x n2,n3 --jobcr-interval=2s -o two.out -e two.err talks)
more=$(talk -x n2,n3 --jobcr-interval=2s --open-mode=append -o more.out talks)
asked=$(talk -w n3 --jobcr-interval=2s -o asked.out talks)
hurt=$(talk -w n3 --jobcr-interval=2s -o hurt.out talks 600)
big=$(talk -w n3 --jobcr-interval=2s -o big.out floods)
plain=$(talk -w n3 -o plain.out -e plain.err talks)

talked() {
	grep -q "^out $2\$" "$home/$1.out"
}
for name in one two more asked hurt; do
	wait_until 30 talked $name 10 || bail "job $name does not run"
done
history_of() {
	cluster as alice n3 jobcr history "$1"
}
has_snapshot() {
	history_of "$1" | grep -q "checkpoint for interval: generation $2"
}
for job in $one $two $more $asked $hurt; do
	wait_until 30 has_snapshot "$job" 2
	ok $? "job $job has periodic snapshots" "$(history_of "$job")"
done

said() {
	has_snapshot "$big" 2 &&
		history_of "$big" | grep -c "not kept: .*big.out.*KeepOutput"
}
wait_until 30 has_snapshot "$big" 2
is "$(said)" 1 "that more output than KeepOutput is not kept is said once" \
	"$(history_of "$big")"

# Those whose node dies, and those that are requeued with jobcrd dead.
cluster kill-node n1
slurm scontrol update nodename=n1 state=down reason=test
cluster daemon n3 kill
for job in $asked $hurt $big; do
	slurm scontrol requeue "$job"
done
touch "$home/go"
pending() {
	has_state "$1" PENDING && [ "$(field "$1" NodeList)" = "" ]
}
for job in $asked $hurt $big; do
	wait_until 30 pending "$job" || bail "job $job is not requeued"
done
for copy in "$cluster_dir/shared/store/private/$hurt"/*/*.output.0.0; do
	printf x | dd of="$copy" conv=notrunc 2>/dev/null
done
cluster daemon n3 start
for job in $one $two $more $asked $hurt $big; do
	wait_until 30 pending "$job"
	case $job in
	$one | $two | $more)
		slurm scontrol update jobid="$job" ExcNodeList=n1,n3
		;;
	esac
	start_now "$job"
done
# It may be over already.
began_again() {
	[ "$(field "$1" Restarts)" = 1 ] && ! has_state "$1" PENDING
}
for job in $one $two $more $asked; do
	wait_until 60 began_again "$job"
	ok $? "job $job is started again" "$(slurm scontrol show job "$job")"
done
for job in $one $two $more $asked $plain; do
	wait_until 180 has_ended "$job"
	is "$(field "$job" JobState)" COMPLETED "job $job completes" \
		"$(history_of "$job")"
done
history_of "$one" | grep -q "bytes of output were put back"
ok $? "the history says that its output was put back" "$(history_of "$one")"

# same FILE WANTED TEXT
same() {
	cmp "$home/$1" "$2" >/dev/null
	ok $? "$3" "$(diff "$2" "$home/$1" | cut -c 1-200)"
}
sort "$home/plain.out" "$home/plain.err" >"$home/both"
for name in one more asked; do
	sort "$home/$name.out" >"$home/$name.sorted"
done
same one.sorted "$home/both" "one file for both streams has every line once"
same two.out "$home/plain.out" "standard output has every line once, in order"
same two.err "$home/plain.err" "so has standard error"
same more.sorted "$home/both" "so has a file that is appended to"
same asked.sorted "$home/both" "so has that of a job that was requeued"

# held_for JOBID REASON TEXT
held_for() {
	wait_until 30 held "$1"
	ok $? "$3 is held" "$(history_of "$1")"
	slurm scontrol show job "$1" | grep -q "AdminComment=.*$2"
	ok $? "and the reason says so" "$(slurm scontrol show job "$1")"
}
held_for "$big" "big.out: has only 0" "a job whose output was not kept"
held_for "$hurt" "hurt.out: put back: the copy.*SHA-256 is wrong" \
	"one whose copy is damaged"
done_testing
