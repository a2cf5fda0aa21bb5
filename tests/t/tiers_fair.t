#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What one user's job has in FastDir does not hold up what others have there:
# a copy that stands still, one that takes long, files that were made longer,
# and something that is mounted there.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=65534 bob=52001
mkdir fast a b
chown $alice a
chown $bob b
copier=
leave() {
	cd /
	[ -z "$copier" ] || kill -KILL "$copier" 2>/dev/null
	umount -l "$tmp"/fast/local/*/0000000099 2>/dev/null
	clean_up
}
trap leave EXIT
# conf LINES...: with these.
cp "$JOBCR_CONF" plain.conf
conf() {
	stop_daemon
	{
		cat plain.conf
		printf '%s\n' "FastDir = \"$tmp/fast\"" \
			'Compression = "none"' 'Stripes = 2' "$@"
	} >"$JOBCR_CONF"
	start_daemon
}
cat >job.py <<'PY'
import itertools, mmap, os, sys, time
size = int(sys.argv[1]) << 20
m = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.write(os.urandom(size))
for n in itertools.count():
    print(n, flush=True)
    time.sleep(0.02)
PY
# begin UID DIR MIB
begin() {
	job=$(cd "$2" && as "$1" "$top_builddir/jobcr" run --detach \
		--output out -- python3 "$tmp/job.py" "$3")
	wait_for 20 has_lines "$2/out" 3
}
# saved JOB GENERATION: into the fast directory, as that.
saved() {
	jobcr checkpoint "$1" --json >said 2>err || return 1
	python3 -c 'import json, sys
d = json.load(open("said"))
sys.exit(not (d["fast"] and d["generation"] == int(sys.argv[1])))' "$2"
}
stored() { # job generation
	test -e "$tmp/store/local/$1/$(printf %010u "$2")/manifest"
}
caught() { # job generation
	ls "$tmp/store/local/$1/$(printf %010u "$2").new"/*pages* || return 1
	copier=$(workers_below "$daemon")
	kill -STOP "$copier"
}
told_history() { # job words
	jobcr history "$1" | grep -q "$2"
}
told() { # job words
	jobcr status "$1" | grep -q "$2"
}

# A copy that stands still, though all of its files are as they were.
conf 'MaxBandwidth = "4M"' 'Timeout = 6'
begin $alice a 32
hers=$job
begin $bob b 1
his=$job
saved "$hers" 1
result $? "one user's snapshot is in the fast directory"
wait_for 20 caught "$hers" 1
result $? "its copy stands still"
saved "$his" 1
result $? "another user's is there, too"
wait_for 5 stored "$his" 1
result $? "and gets to the store meanwhile"
! stored "$hers" 1
result $? "the first one does not"
wait_for 20 told "$hers" 'no progress for 6 s'
result $? "the copy is ended, and that is said"
noted jobcrd.log "$hers.*generation 1 stays in the fast.*no progress for 6 s"
result $? "also in the log"
wait_for 60 stored "$hers" 1
result $? "it is tried again, and takes longer than Timeout"
copier=
jobcr verify "$hers.1" >log 2>&1
result $? "it is whole"

# The only place of MaxWriters is nobody's for ever.
conf 'MaxBandwidth = "1M"' 'MaxWriters = 1'
saved "$hers" 2
result $? "one that takes a minute is in the fast directory"
wait_for 20 test -e "$tmp/store/local/$hers/0000000002.new"
wait_for 20 grep -q . "run/jobs/$hers/flush.rec"
saved "$his" 2
result $? "so is another user's, which waits for the only writer's place"
wait_for 50 stored "$his" 2
result $? "it gets that place"
! stored "$hers" 2
result $? "before the other one is done"
wait_for 90 stored "$hers" 2
result $? "which goes on then"
jobcr verify "$hers.2" >log 2>&1
result $? "it is whole, too"

# Nor does one that stands still keep it.
conf 'MaxBandwidth = "4M"' 'MaxWriters = 1'
saved "$hers" 3
result $? "one more is in the fast directory"
wait_for 20 caught "$hers" 3
result $? "its copy stands still, with the only place"
saved "$his" 3 && wait_for 50 stored "$his" 3
result $? "another user's gets it"
! stored "$hers" 3
result $? "while the first one is where it was"
kill -CONT "$copier"
copier=
wait_for 60 stored "$hers" 3
result $? "it waits for the place again, and is stored"

# A length that nothing describes is found before anything is copied.
wait_for 20 test ! -e "run/jobs/$hers/flush.rec"
save_alone "$hers" >log 2>&1
result $? "one is saved, and not copied yet"
last=$(ls "$tmp/fast/local/$hers/0000000004"/*pages* | tail -n 1)
truncate -s +1T "$last"
conf 'MaxBandwidth = "1M"'
wait_for 8 told_history "$hers" "generation 4 did not get.*damaged"
result $? "a file that was made longer is found at once"

# A file system of the user's own is not entered.
strange=$tmp/fast/local/$hers/0000000099
mkdir "$strange"
save_alone "$hers" >log 2>&1
result $? "one more is saved"
if mount_silent "$strange" 2>log; then
	start_daemon 7>&-
	noted jobcrd.log "$hers.*$strange: something is mounted there"
	result $? "nothing is taken from where something is mounted"
	told "$hers" 'something is mounted there'
	result $? "its status says so"
	saved "$his" 4 && wait_for 20 stored "$his" 4
	result $? "another user's job knows nothing of it"
	! stored "$hers" 4
	result $? "the snapshot stays where it is"
	umount -l "$strange"
	exec 7>&-
	wait_for 90 stored "$hers" 4
	result $? "until it is gone"
fi
finish
