# SPDX-License-Identifier: GPL-2.0-or-later
# For tests of the commands as an administrator uses them: a configuration,
# store and run directory of their own, TAP, and nothing left at the end.
# Sourced; the caller sets -u.

top_builddir=${top_builddir:-.}
top_srcdir=${top_srcdir:-.}
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
top_builddir=$(cd "$top_builddir" && pwd)
tmp=$(mktemp -d /tmp/jobcr-t.XXXXXX) || exit 1
chmod 0755 "$tmp"
mkdir "$tmp/store"
# A checkout often lies in a home where other users cannot look.
if ! setpriv --reuid 65534 --regid 65534 --clear-groups \
	test -x "$top_builddir/jobcr"; then
	mkdir "$tmp/programs"
	cp "$top_builddir"/jobcr "$top_builddir"/jobcrd \
		"$top_builddir"/jobcr-* "$tmp/programs"
	top_builddir=$tmp/programs
fi
JOBCR_CONF=$tmp/jobcr.conf
JOBCR_LIBEXEC=$top_builddir
export JOBCR_CONF JOBCR_LIBEXEC
# The directories of tests stand for shared ones, wherever they lie.
cat >"$JOBCR_CONF" <<CONF
StoreDir = "$tmp/store"
RunDir = "$tmp/run"
Port = 0
NodeName = "here"
LocalDirs = {}
Seal = "slurm"
CONF
daemon=
count=0
failed=0

jobcr() {
	timeout 60 "$top_builddir/jobcr" "$@"
}

# as UID COMMAND...: without root's groups and capabilities.
as() {
	_uid=$1
	shift
	timeout 60 setpriv --reuid "$_uid" --regid "$_uid" --clear-groups "$@"
}

result() { # status message
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		failed=1
		echo "not ok $count - $2"
		[ ! -s "$tmp/log" ] || sed 's/^/# /' "$tmp/log"
	fi
}

is() { # got wanted message
	if [ "$1" = "$2" ]; then
		result 0 "$3"
	else
		result 1 "$3"
		echo "# got '$1', not '$2'"
	fi
}

matches() { # got pattern message
	case $1 in
	$2) result 0 "$3" ;;
	*)
		result 1 "$3"
		echo "# got '$1'"
		;;
	esac
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	_n=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		_n=$((_n - 1))
		[ $_n -gt 0 ] || return 1
		sleep 0.05
	done
}

start_daemon() {
	# One that was killed leaves its socket behind.
	rm -f "$tmp/run/jobcrd.sock"
	"$top_builddir/jobcrd" --debug "$@" >>"$tmp/jobcrd.log" 2>&1 &
	daemon=$!
	wait_for 10 test -S "$tmp/run/jobcrd.sock"
}

stop_daemon() { # [signal]
	[ -z "$daemon" ] || kill "-${1:-TERM}" "$daemon" 2>/dev/null
	[ -z "$daemon" ] || wait "$daemon" 2>/dev/null
	daemon=
}

children() { # of a pid
	cat /proc/"$1"/task/*/children 2>/dev/null
}

# A job that writes 0, 1, 2 ... and ends with 6; one number per line.
counter='i=0; while [ $i -lt N ]; do echo $i; i=$((i+1)); sleep 0.02; done
exit 6'

count_to() {
	echo "$counter" | sed "s/N/$1/"
}

# count_on N: such a job that does not end before it finds a file "go"; how
# many numbers it has written is in the file "end" then.
count_on() {
	count_to "$1" | sed 's/; do/ || [ ! -e go ]; do/; s/^exit/echo $i >end; exit/'
}

lines() {
	wc -l <"$1" 2>/dev/null || echo 0
}

has_lines() { # file number
	[ "$(lines "$1")" -ge "$2" ]
}

# more_lines FILE [NUMBER]: so many (10) more, of a job that goes on.
more_lines() {
	wait_for 20 has_lines "$1" $(($(lines "$1") + ${2:-10}))
}

# Every number once and in order, up to the last.
whole() { # file numbers
	awk -v n="$2" '$1 != NR - 1 { bad = 1 } END { exit bad || NR != n }' \
		"$1"
}

# noted FILE WORDS: the history there has it.  A process of its own writes it,
# which may be there still when the command has ended.
noted() {
	wait_for 20 grep -q -- "$2" "$1"
}

# steps COMMAND...: jobcr in the background ($asker), a line to descriptor 9
# for each of its phases; they need none any more when that is closed.
steps() {
	rm -f in
	mkfifo in
	: >steps
	"$top_builddir/jobcr" "$@" --step <in >steps 2>err &
	asker=$!
	exec 9>in
	_last=0
}

# Until a phase has begun.
step_to() {
	until [ "$(tail -n 1 steps)" = "phase $1" ]; do
		[ $_last = 0 ] || echo >&9
		wait_for 10 has_lines steps $((_last + 1)) || return 1
		_last=$(lines steps)
	done
}

# A snapshot while there is no jobcrd to flush it: it ends when the worker has
# begun, which goes on.
save_alone() { # job options
	steps checkpoint "$@"
	wait_for 20 has_lines steps 1
	stop_daemon
	while kill -0 "$asker" 2>/dev/null && echo >&9; do
		sleep 0.05
	done 2>/dev/null
	exec 9>&-
	wait "$asker"
}

worker_of() { # a command, or jobcrd
	for _c in $(children "$1"); do
		[ "$(cat /proc/"$_c"/comm)" != jobcr-worker ] || echo "$_c"
	done
}

# The workers of jobcrd, at whatever depth.
workers_below() { # pid
	for _below in $(children "$1"); do
		if [ "$(cat /proc/"$_below"/comm)" = jobcr-worker ]; then
			echo "$_below"
		else
			(workers_below "$_below")
		fi
	done
}

# Tests at random moments: SEED repeats one.
begin_random() {
	seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
	echo "# seed $seed"
}

# random N: 0 to N - 1.
random() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	picked=$((seed / 8 % $1))
}

# mount_silent DIR: a file system of a user's that never answers anybody.  Its
# server would hold descriptor 7, which is closed to end it.
mount_silent() {
	[ -c /dev/fuse ] || return 1
	exec 7<>/dev/fuse
	mount -i -t fuse -o fd=7,rootmode=40000,user_id=0,group_id=0,allow_other \
		silent "$1"
}

finish() {
	echo "1..$count"
	exit $failed
}

clean_up() {
	stop_daemon
	for _job in $(jobcr list 2>/dev/null | awk 'NR > 1 && $3 != "ended" &&
		$3 != "checkpointed" { print $1 }'); do
		jobcr kill "$_job" KILL 2>/dev/null
		jobcr wait "$_job" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP
cd "$tmp" || exit 1
