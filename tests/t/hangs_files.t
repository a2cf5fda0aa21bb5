#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A file system of the job's own hangs, and the store does not: what was written
# there cannot be made durable.  At the deadline the job goes on, and who asked
# is told which file it was; when it is back all is as before.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"

# What the files lie on hangs; so reading and writing them goes on in memory.
below=$tmp/below
files=$tmp/files
leave() {
	fsfreeze -u "$below" 2>/dev/null
	cd /
	umount -l "$files" "$below" 2>/dev/null
	clean_up
}
mkdir "$below" "$files"
cd "$tmp" || exit 1
truncate -s 256M disk
if ! { mkfs.ext4 -q -F disk && mount -o loop disk "$below" &&
	truncate -s 128M "$below/disk" && mkfs.ext4 -q -F "$below/disk" &&
	mount -o loop "$below/disk" "$files"; } >log 2>&1; then
	echo "1..0 # SKIP no file system can be mounted: $(tail -n 1 log)"
	leave
	exit 0
fi
trap leave EXIT
echo "Timeout = 3" >>"$JOBCR_CONF"

# A job with a file there that it has written, and writes once more whenever
# it is told to.
begin() {
	rm -f go more "$files/data"
	job=$(jobcr run --detach --output o.txt "$@" -- sh -c "
		exec 7>$files/data
		head -c 4000000 /dev/zero >&7
		i=0
		until [ -e $tmp/go ]; do
			if [ -e $tmp/more ]; then
				head -c 4000000 /dev/zero >&7
				rm $tmp/more
			fi
			echo \$i; i=\$((i+1)); sleep 0.02
		done
		echo done >&7")
	wait_for 10 has_lines o.txt 10
}
end() {
	touch go
	jobcr wait "$job"
	is "$(tail -c 5 "$files/data")" "done" "the job ends as it would have"
}
# The worker that is held has what tells it which pages are written to.
while_held() {
	before=$(lines o.txt)
	timeout 20 "$top_builddir/jobcr" checkpoint "$job" --leave-running \
		>log 2>err
	is $? 3 "and the next one is refused while it hangs"
	matches "$(cat err log)" "$1" "by name: $(head -n 1 err)"
	wait_for 5 has_lines o.txt $((before + 10))
	result $? "the job goes on"
}
# once HOW [NEXT]: what the next one says while it hangs.
once() {
	begin
	jobcr checkpoint "$job" --leave-running >log 2>&1
	touch more
	wait_for 10 test ! -e more
	fsfreeze -f "$below"
	timeout 20 "$top_builddir/jobcr" checkpoint "$job" "$1" 2>err >log
	is $? 8 "a file cannot be synced: it fails at its deadline ($1)"
	matches "$(cat err)" "*storage hangs*$files/data*" \
		"the file is named: $(cat err)"
	more_lines o.txt
	result $? "the job goes on"
	timeout 5 "$top_builddir/jobcr" list >log 2>&1
	result $? "jobcrd answers"
	[ $# = 1 ] || while_held "$2"
	fsfreeze -u "$below"
	wait_for 20 jobcr checkpoint "$job" --leave-running
	result $? "it is back: the next one is made"
	jobcr verify "$job" >log 2>&1
	result $? "and is whole"
	end
}
start_daemon
once --leave-running
once --kill
echo 'Incremental = "auto"' >>"$JOBCR_CONF"
stop_daemon
start_daemon
if jobcr check | grep -q '^ok .*written-pages'; then
	once --leave-running "*memory watched by userfaultfd*storage*"
fi
finish
