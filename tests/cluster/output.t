#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Output goes on where it was, in every way that Slurm opens it: one file or
# two, truncated or appended to at a requeue, shared by several jobs' worth of
# processes, on a node that runs another job besides.
. "$(dirname "$0")/lib.sh"

[ -d /sys/fs/cgroup/freezer ] && track=cgroup || track=linuxproc
cluster_begin CLUSTER_TRACK="${TRACK:-$track}"

# Both streams from several processes, and a file of its own.
script talks <<'EOT'
exec 5>"own.$SLURM_JOB_ID"
for i in $(seq 120); do
	echo "out $i"
	(echo "error $i" >&2)
	echo "own $i" >&5
	/bin/echo "child $i" | cat
	sleep 0.1
done
EOT

# talk SBATCH-ARGUMENTS...: two of them share a node, as jobs do.
talk() {
	cluster as alice ctl sbatch --parsable -n2 -w n1 --jobcr "$@" talks
}
one=$(talk -o one.out)
two=$(talk -o two.out -e two.err)
three=$(cluster as alice ctl sbatch --parsable -n1 -w n2 --jobcr \
	--open-mode=append -o three.out -e three.err talks)
echo "from before" >"$home/three.out"
chown 2001:2001 "$home/three.out"
plain=$(cluster as alice ctl sbatch --parsable -n1 -w n3 -o plain.out \
	-e plain.err talks)

talked() {
	grep -q '^out 15$' "$home/$1.out"
}
for name in one two three; do
	wait_until 30 talked $name || bail "job $name does not run"
done
cluster as bob ctl sbatch --parsable --exclusive -p high -w n1,n2 -N2 \
	-o /dev/null --wrap 'sleep 3' >/dev/null
for job in $one $two $three; do
	wait_until 60 restarted "$job"
	ok $? "job $job is preempted and started again"
done
for job in $one $two $three $plain; do
	wait_until 90 has_ended "$job"
	is "$(field "$job" JobState)" COMPLETED "job $job completes"
done

# same FILE WANTED TEXT
same() {
	cmp "$home/$1" "$2" >/dev/null
	ok $? "$3" "$(diff "$2" "$home/$1")"
}
sort "$home/plain.out" "$home/plain.err" >"$home/both"
sort "$home/one.out" >"$home/one.sorted"
same one.sorted "$home/both" "one file for both streams has every line once"
same two.out "$home/plain.out" "standard output has every line once, in order"
same two.err "$home/plain.err" "so has standard error"
{
	echo "from before"
	cat "$home/plain.out"
} >"$home/appended"
same three.out "$home/appended" "a file that is appended to keeps its begin"
same three.err "$home/plain.err" "and its standard error"
for job in $one $two $three; do
	same "own.$job" "$home/own.$plain" "a file of job $job's own is whole"
done
left=$(find "$home" -name '.*jobcr*')
is "$left" "" "nothing that was put aside is left"
done_testing
