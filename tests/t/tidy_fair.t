#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A file system in a user's directory in the store that never answers does not
# keep a sweep from what others have there.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"

echo 'SweepInterval = "1s"' >>"$JOBCR_CONF"
alice=65534 bob=52001
# attempt UID JOB: what a worker of another node has left, long ago.
attempt() {
	_dir=store/local/$2/0000000001.new
	mkdir -p "$_dir"
	echo x >"$_dir/there.meta"
	chown -R "$1" "store/local/$2"
	chmod 0700 "store/local/$2"
	touch -d '3 days ago' "$_dir/there.meta" "$_dir"
}
# The sweep finds them in any order.
for n in 1 2 3 4 5 6 7 8 9; do
	attempt $bob local-1$n
	attempt $alice local-2$n
done
strange=$tmp/store/local/local-25/0000000001.new
if ! mount_silent "$strange" 2>log; then
	echo "1..0 # SKIP no FUSE can be mounted: $(tail -n 1 log)"
	exit 0
fi
leave() {
	umount -l "$strange" 2>/dev/null
	exec 7>&-
	clean_up
}
trap leave EXIT
start_daemon 7>&-
none_of_his() {
	! ls -d store/local/local-1*/*.new
}
wait_for 20 none_of_his
result $? "the other user's are removed"
noted jobcrd.log "local-25: it is passed over.*$strange: something is mounted"
result $? "the log says what was not looked at"
umount -l "$strange"
exec 7>&-
none() {
	! ls -d store/local/*/*.new
}
wait_for 20 none
result $? "when it is gone so are the first one's"
finish
