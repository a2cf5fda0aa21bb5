# SPDX-License-Identifier: GPL-2.0-or-later
# For the tests of this folder, which source it: TAP, a cluster of their own
# that goes away with them, and what Slurm says about a job.
# shellcheck shell=sh
set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
top_builddir=${top_builddir:-$top_srcdir/build}
. "$top_srcdir/tests/lib/flip.sh"
points=0
failures=0

# ok CONDITION-STATUS TEXT: what must be true.
ok() {
	points=$((points + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $points - $2"
	else
		failures=$((failures + 1))
		echo "not ok $points - $2"
		[ $# -lt 3 ] || note "$3"
	fi
}

# is GOT WANTED TEXT
is() {
	[ "$1" = "$2" ]
	ok $? "$3" "got '$1', wanted '$2'"
}

note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

# A point that cannot be had here, with the reason.
skip() {
	points=$((points + 1))
	echo "ok $points # SKIP $*"
}

done_testing() {
	echo "1..$points"
	[ $failures -eq 0 ] || cluster_logs
	exit $((failures > 0))
}

bail() {
	cluster_logs
	echo "Bail out! $*"
	exit 99
}

# wait_until SECONDS CMD...: as soon as CMD succeeds.
wait_until() {
	read -r uptime rest </proc/uptime
	wait_end=$((${uptime%.*} + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		read -r uptime rest </proc/uptime
		[ "${uptime%.*}" -lt $wait_end ] || return 1
		sleep 0.1
	done
}

# ---- the cluster -----------------------------------------------------------

cluster() {
	CLUSTER_DIR=$cluster_dir "$top_srcdir/tests/cluster/cluster" "$@"
}

cluster_logs() {
	[ -n "${cluster_dir:-}" ] && [ -d "$cluster_dir/log" ] || return 0
	for log in "$cluster_dir"/log/jobcrd-*.log; do
		[ -s "$log" ] && note "--- ${log##*/}" &&
			tail -n 30 "$log" | sed 's/^/# /'
	done
	for log in "$cluster_dir"/log/slurmd-*.log; do
		note "--- ${log##*/}" && tail -n 40 "$log" | sed 's/^/# /'
	done
	note "--- slurmctld.log" &&
		tail -n 40 "$cluster_dir/log/slurmctld.log" | sed 's/^/# /'
}

# What a cluster needs; without it the test is skipped.
cluster_needs() {
	[ "$(id -u)" = 0 ] || skip_all "needs root, to make namespaces"
	for tool in munged slurmctld slurmd; do
		command -v $tool >/dev/null || [ -x /usr/sbin/$tool ] ||
			skip_all "needs $tool (see ./bootstrap packages)"
	done
	[ -f "$top_builddir/.libs/spank_jobcr.so" ] ||
		skip_all "built without Slurm"
}

# own_terminals "$0" "$@": again, where there are no terminals but the test's own;
# other tests run beside it, and use those of the machine.
own_terminals() {
	[ "$(id -u)" = 0 ] && [ ! "${OWN_TERMINALS:-}" ] || return 0
	OWN_TERMINALS=1
	export OWN_TERMINALS
	exec unshare --mount sh -c 'mount -t devpts \
		-o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts &&
		exec sh "$@"' - "$@"
}

# cluster_begin [VARIABLE=VALUE...]: start one; it ends with the test.
cluster_begin() {
	cluster_needs
	cluster_dir=$(mktemp -d "${CLUSTER_BELOW:-/tmp}/jobcr-cluster.XXXXXX") || exit 99
	trap 'cluster down >/dev/null' EXIT
	trap 'exit 99' HUP INT TERM
	CLUSTER_QUIET=1 CLUSTER_BUILD=$top_builddir
	export CLUSTER_QUIET CLUSTER_BUILD
	[ $# -eq 0 ] || export "$@"
	cluster up || bail "the cluster does not start"
	home=$cluster_dir/shared/home/alice
	install -m 0755 "$top_builddir/tests/cluster/progress" \
		"$cluster_dir/opt/bin" || bail "no progress program"
}

slurm() {
	cluster exec ctl "$@"
}

# Before cluster_begin CLUSTER_ACCOUNTS=yes.
needs_accounts() {
	for tool in slurmdbd mariadbd sacct; do
		PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v $tool \
			>/dev/null ||
			skip_all "needs $tool (see ./bootstrap packages)"
	done
}

# qos NAME [FIELD=VALUE...]: one that everybody may use.
qos() {
	slurm sacctmgr -iQ add qos "$@" >/dev/null &&
		slurm sacctmgr -iQ modify account proj set "qos+=$1" >/dev/null
}

# script NAME: the batch script from standard input, in alice's home.
script() {
	{
		echo '#!/bin/bash'
		cat
	} >"$home/$1"
	chmod 0755 "$home/$1"
}

# submit SBATCH-ARGUMENTS...: as alice, a node for itself; prints the job id.
submit() {
	cluster as alice ctl sbatch --parsable --exclusive -o %j.out "$@"
}

# preempt NODE [SECONDS]: bob's job takes the node; prints its id.
preempt() {
	cluster as bob ctl sbatch --parsable --exclusive -p high -w "$1" \
		-o /dev/null --wrap "sleep ${2:-1}"
}

# field JOBID NAME: of scontrol show job.
field() {
	slurm scontrol show job "$1" -o 2>/dev/null |
		awk -v RS='[ \n]' -v name="$2=" 'index($0, name) == 1 {
			print substr($0, length(name) + 1)
			exit
		}'
}

has_state() {
	[ "$(field "$1" JobState)" = "$2" ]
}

has_ended() {
	case $(field "$1" JobState) in
	COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL | PREEMPTED)
		return 0
		;;
	esac
	return 1
}

held() {
	has_state "$1" PENDING && [ "$(field "$1" Priority)" = 0 ] &&
		[ "$(field "$1" NodeList)" = "" ]
}

# start_now JOBID: not only when its last credential has expired.
start_now() {
	slurm "$cluster_dir/opt/libexec/jobcr-slurm" start "$1"
}

# release JOBID: it was held, and starts at once.
release() {
	slurm scontrol release "$1"
	start_now "$1"
}

# written FILE: an output without the lines that slurmstepd puts between them,
# at a moment of its own, about what Slurm does to the job.
written() {
	grep -v '^slurmstepd-n[0-9]*: error: \*\*\* JOB' "$1"
}

# same_output GOT WANTED TEXT: two of alice's outputs.
same_output() {
	difference=$(written "$home/$1" | diff "$home/$2" -)
	ok $? "$3" "$difference"
}

printed() {
	grep -q "$2" "$home/$1.out"
}

restarted() {
	[ "$(field "$1" Restarts)" = "${2:-1}" ] && has_state "$1" RUNNING
}

# ---- a slow store ----------------------------------------------------------

# The kernel limits what a node may write.
throttle=/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device
needs_slow() {
	[ -f "$throttle" ] ||
		skip_all "needs the v1 blkio controller, to slow the store"
}

# slow NODE BYTES: per second, past the page cache; 0: as fast as it can.
slow() {
	device=$(stat -c '%d' "$cluster_dir/shared")
	tag=jobcr-$(printf %s "$cluster_dir" | cksum | cut -d ' ' -f 1)
	cgroup=$(find "${throttle%/*}" -type d -name "$tag-$1")
	[ -n "$cgroup" ] || bail "no cgroup of node $1"
	echo "$((device >> 8 & 4095)):$((device & 255)) $2" \
		>"$cgroup/${throttle##*/}"
}
