#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A snapshot as one file: written by its owner, read by root into another
# store, where the job goes on; and archives that somebody has made by hand,
# of which nothing is taken, and nothing is left.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

lib=$(cd "${top_srcdir:-.}" && pwd)/tests/lib
alice=52001
bob=52002
mkdir -m 0777 a
sed "s|$tmp/store|$tmp/there|; s|$tmp/run|$tmp/run2|; s|\"slurm\"|\"none\"|" \
	"$JOBCR_CONF" >there.conf
mkdir there
alice() {
	as $alice "$top_builddir/jobcr" "$@"
}
there() {
	timeout 60 "$top_builddir/jobcr" --config "$tmp/there.conf" "$@"
}
# What is in a store: nothing may be left of what fails.
contents() {
	find "$1" ! -name history | sort
}
# forget JOB: what was imported, with its history when that has been written.
forget() {
	there delete "$1" --force >log 2>&1
	noted "there/local/$1/history" ' imported ' &&
		noted "there/local/$1/history" ' deleted '
	rm -rf "there/local/$1"
}
start_daemon
job=$(cd a && alice run --detach --output o.txt -- \
	sh -c "$(count_to 300)")
wait_for 10 has_lines a/o.txt 20
alice checkpoint "$job" --kill >log
result $? "a user's job is saved and ends"

alice export "$job" -o a/x.tar >log 2>&1
result $? "its user makes an archive of it"
is "$(stat -c '%a %u' a/x.tar)" "600 $alice" "that nobody else can read"
is "$(tar tf a/x.tar | head -n 2 | xargs)" \
	"$job.1/manifest $job.1/here.meta" "a tar, the manifest first"
alice export "$job" -o a/x.tar >log 2>&1
is "$?" 1 "a file that is there stays"
as $bob "$top_builddir/jobcr" export "$job" -o a/y.tar >log 2>&1
is "$?" 6 "another user cannot have it"
[ ! -e a/y.tar ] && alice export "$job" -o - >y.tar 2>log &&
	cmp -s a/x.tar y.tar
result $? "by a pipe it is the same"
alice export "$job" -o /dev/full --force >log 2>&1
is "$?" 6 "what cannot be written is an error"
alice export "$job.7" -o a/z.tar >log 2>&1
is "$?" 4 "so is what is not there"

# Not all file systems have links, or renames that replace nothing.
if command -v strace >/dev/null; then
	# with INJECTED... -- COMMAND...: system calls that fail, or are slow.
	with() {
		_calls=
		while [ "$1" != -- ]; do
			_calls="$_calls -e inject=$1"
			shift
		done
		shift
		# shellcheck disable=SC2086 # words
		strace -f -o trace -e trace=openat,fsync,linkat,renameat2 \
			$_calls "$top_builddir/jobcr" "$@"
	}
	for refused in linkat:error=EPERM renameat2:error=EINVAL \
		"linkat:error=EPERM renameat2:error=EINVAL"; do
		rm -f w.tar
		# shellcheck disable=SC2086 # words
		with $refused -- export "$job" -o w.tar >log 2>&1 &&
			cmp -s a/x.tar w.tar && [ -z "$(ls -A | grep part)" ]
		result $? "an archive is made where it is said: $refused"
		rm -f w.tar trace
		# shellcheck disable=SC2086 # words
		with $refused fsync:delay_enter=2s -- \
			export "$job" -o w.tar >log 2>&1 &
		export=$!
		wait_for 10 grep -q 'part.*O_CREAT' trace
		echo other >w.tar
		wait $export
		is "$? $(cat w.tar) $(ls -A | grep part)" "1 other " \
			"a file that comes meanwhile keeps its name"
	done
	for signal in TERM HUP; do
		rm -f w.tar trace
		with fsync:delay_enter=20s -- export "$job" -o w.tar \
			>log 2>&1 &
		export=$!
		wait_for 10 grep -q "part.*O_CREAT" trace
		kill -$signal "$(sed 's/ .*//;q' trace)"
		wait $export
		is "$(ls -A | grep w.tar)" "" "nothing is left after SIG$signal"
	done
else
	count=$((count + 1))
	echo "ok $count # SKIP no strace"
fi
if (ulimit -f 8; "$top_builddir/jobcr" export "$job" -o w.tar) >log 2>&1; then
	result 1 "a limit of files is kept"
fi
is "$(ls -A | grep w.tar)" "" "nothing is left of what was over a limit"

# Any tar will do to have it as a directory.
mkdir a/plain && chown $alice a/plain
as $alice tar xf a/x.tar -C a/plain
alice verify --dir "$tmp/a/plain/$job.1" >log 2>&1
result $? "tar unpacks a snapshot"

alice import a/x.tar >log 2>&1
is "$?" 6 "only root imports"
there import a/x.tar >log 2>&1
is "$?" 1 "a user whom nobody knows has to be said"
there import y.tar --user $bob >log 2>&1
is "$?" 3 "nobody becomes the owner of others' processes"
cat y.tar | there import - >log 2>&1
is "$?" 6 "nor of what comes by a pipe, unless it is said"
is "$(contents there | xargs)" "there there/local" "nothing is left of these"
there import a/x.tar --user $alice >log 2>&1
result $? "another store takes it"
matches "$(cat log)" "$job.1: imported for $alice*" "and says so"
there verify "$job" >log 2>&1
result $? "where it is whole"
is "$(stat -c %u there/local/"$job"/0000000001/*.meta)" $alice "and its user's"
noted "there/local/$job/history" ' imported '
matches "$(there history "$job")" "*imported*" "its history begins there"
there import a/x.tar --user $alice >log 2>&1
is "$?" 1 "not a second time"
cat y.tar | there import - --user $alice --as local-50 >log 2>&1
result $? "but by another name, by a pipe"
there show local-50 >log && grep -q "^Job: *local-50 " log
result $? "which is in its manifest"
there restore local-50 >log 2>&1
is "$?" 6 "there it goes on, and ends as an undisturbed one"
whole a/o.txt 300
result $? "with its output whole"

# One that shares files with an earlier one is whole on its own.
job2=$(jobcr run --detach --output r.txt -- python3 -c 'import time
a = bytearray(30 << 20)
for i in range(0, len(a), 4096):
    a[i] = 1
print(0, flush=True)
while True:
    time.sleep(0.01)
    print(sum(a[::4096]), flush=True)')
wait_for 20 has_lines r.txt 5
jobcr checkpoint "$job2" --leave-running >log 2>&1 &&
	jobcr checkpoint "$job2" --kill >>log 2>&1
jobcr export "$job2.2" -o r.tar >>log 2>&1 &&
	there import r.tar --user root >>log 2>&1 &&
	there verify "$job2" >>log 2>&1
result $? "an archive of a second generation: $(tar tf r.tar | xargs)"
matches "$(there show "$job2")" "*Generation: 2*" "which keeps its number"
forget "$job2"

# A job of Slurm's, with how it was submitted.
cp -a store/local/"$job" store/local/submitted
echo "script" >store/local/"$job"/submit
: >store/local/"$job"/submit.env
alice export "$job" -o a/s.tar >log 2>&1 || cat log
there import a/s.tar --user $alice --as 4711 >log 2>&1
is "$(cat there/cluster/4711/submit)" script \
	"a job of Slurm's is imported with how it was submitted"
[ -f there/cluster/4711/submit.env ] && [ ! -s there/cluster/4711/submit.env ]
result $? "also where its environment was empty"
noted there/cluster/4711/history ' imported '
rm -r store/local/submitted there/cluster

# Interrupted, with half of it there.
before=$(contents there)
mkfifo pipe
"$top_builddir/jobcr" --config "$tmp/there.conf" import pipe --user $alice \
	--as local-51 >log 2>&1 &
import=$!
exec 8>pipe
head -c 60000 y.tar >&8
wait_for 10 test -d there/local/local-51
kill -TERM $import
wait $import
is "$?" 1 "an import can be interrupted"
exec 8>&-
is "$(contents there)" "$before" "and leaves nothing"

# No room.
mkdir small
if mount -t tmpfs -o size=128k,mode=0755 none "$tmp/small" 2>/dev/null; then
	sed "s|$tmp/there|$tmp/small|" there.conf >small.conf
	timeout 60 "$top_builddir/jobcr" --config "$tmp/small.conf" import \
		y.tar --user $alice >log 2>&1
	is "$?" 1 "a store without room is an error: $(cat log)"
	is "$(contents small | xargs)" "small small/local" \
		"of which nothing is left"
	umount "$tmp/small"
fi

# Each variant has a word that its refusal must say.
mkdir bad
python3 -B "$lib/archives.py" y.tar bad >list || result 1 "archives are made"
n=0 wrong=0
while read -r name word; do
	n=$((n + 1))
	as="--as local-60"
	[ "${name#job-}" = "$name" ] || as=
	# shellcheck disable=SC2086 # words
	there import "bad/$name" --user $alice $as >log 2>&1
	status=$?
	if [ $status = 0 ] || ! grep -q "$word" log ||
		grep -q "[[:cntrl:]]" log ||
		[ "$(contents there)" != "$before" ]; then
		wrong=$((wrong + 1))
		echo "# $name: status $status, not '$word': $(cat log)"
		there delete local-60 --force >/dev/null 2>&1
	fi
done <list
is $wrong 0 "each of $n archives that are made by hand is refused by name"
[ "$n" -gt 20 ]
result $? "all were made"
is "$(ls -d /jobcr-escaped /tmp/jobcr-escaped jobcr-escaped */jobcr-escaped \
	there/*/*/jobcr-escaped 2>/dev/null)" "" "and none got out"

# Bits and lengths: refused, or what was damaged did not matter.
python3 -B "$lib/archives.py" --damage "${FLIPS:-60}" y.tar bad >list
n=0 refused=0 same=0
while read -r name; do
	n=$((n + 1))
	if there import "bad/$name" --user $alice --as local-61 >log 2>&1; then
		there verify local-61 >log 2>&1 && same=$((same + 1))
		forget local-61
	elif [ "$(contents there)" = "$before" ]; then
		refused=$((refused + 1))
	else
		cat log
		contents there
		break
	fi
	rm "bad/$name"
done <list
is $((refused + same)) $n \
	"of $n damaged ones $refused are refused, the others are whole"
[ $refused -gt $((n / 2)) ]
result $? "most are refused"
finish
