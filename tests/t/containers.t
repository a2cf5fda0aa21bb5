#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A container in a job, as Apptainer and bubblewrap make it, with its image on
# a file system that the job has mounted: it is refused for what it is, before
# anything is touched, and goes on.
set -u
if [ "$(id -u)" = 0 ] && [ "${JOBCR_MOUNTS:-}" = "" ]; then
	JOBCR_MOUNTS=ours exec unshare -m sh "$0"
fi
. "${top_srcdir:-.}/tests/lib/jobs.sh"
for program in bwrap mksquashfs squashfuse fusermount3; do
	command -v $program >/dev/null || {
		echo "1..0 # SKIP $program is not installed"
		exit 0
	}
done
nobody=65534

# An image with a shell, which counts in the files of the job.
mkdir image home
chown $nobody home
for program in /bin/sh /bin/sleep; do
	for file in $program $(ldd $program | grep -o '/[^ ]*'); do
		mkdir -p "image$(dirname "$file")"
		cp "$file" "image$file"
	done
done
mksquashfs image image.squashfs -quiet -no-progress >log 2>&1
result $? "an image is made"
counts="i=0; while :; do echo \$i; i=\$((i+1)); sleep 0.02; done"

# Users may have FUSE where a site has Apptainer.
mknod fuse c 10 229 && chmod 0666 fuse && mount --bind fuse /dev/fuse
have_fuse() {
	setpriv --reuid $nobody --regid $nobody --clear-groups \
		sh -c ': <>/dev/fuse' 2>/dev/null
}

# refused UID NAME COMMAND...
refused() {
	_uid=$1 _name=$2
	shift 2
	rm -f home/o.txt
	job=$(cd home && as "$_uid" "$top_builddir/jobcr" run --detach \
		--output o.txt -- "$@")
	if ! wait_for 10 has_lines home/o.txt 5; then
		sed 's/^/# /' home/o.txt
		count=$((count + 1))
		echo "ok $count # SKIP it cannot be made here: $_name"
		jobcr kill "$job" KILL 2>/dev/null
		return
	fi
	yes "" | jobcr checkpoint "$job" --kill --step >steps 2>err
	is $? 3 "$1 of user $_uid is refused"
	cp err log
	matches "$(cat err)" "$_name" "for what it is"
	is "$(cat steps)" "phase preflight" "and nothing was touched"
	more_lines home/o.txt
	result $? "it goes on"
	jobcr kill "$job" KILL
	jobcr wait "$job" 2>/dev/null
	rm -rf home/m
}

start_daemon
refused $nobody "*bwrap*namespaces of its own (user, mnt, pid*bubblewrap*" \
	bwrap --unshare-user --unshare-pid --ro-bind / / --proc /proc \
	--dev /dev sh -c "$counts"
refused $nobody "*namespaces of its own (user, mnt)*" \
	unshare -Urm sh -c "mkdir m && mount -t tmpfs none m &&
		cp -r $tmp/image/* m && exec chroot m /bin/sh -c '$counts'"
if have_fuse; then
	# Root may not look there, unless it is mounted with allow_other.
	refused $nobody "*$tmp/home/m/*: its file system lets not*FUSE*" \
		unshare -Urm sh -c "mkdir m && squashfuse $tmp/image.squashfs m &&
			exec chroot m /bin/sh -c '$counts'"
	refused $nobody "*$tmp/home/m: its file system lets not*FUSE*" \
		sh -c "mkdir m && squashfuse $tmp/image.squashfs m &&
			cd m && $counts"
	refused $nobody "*connection of a FUSE file system*" \
		sh -c "mkdir m && squashfuse $tmp/image.squashfs m && $counts"
	refused 0 "*m (fuse*, which the job itself has mounted*" \
		sh -c "mkdir m && squashfuse -o allow_other \
			$tmp/image.squashfs m && exec m/bin/sh -c '$counts'"
fi
refused 0 "*a namespace of its own (mnt)*" \
	unshare -m sh -c "mkdir m && mount -o loop,ro $tmp/image.squashfs m &&
		exec chroot m /bin/sh -c '$counts'"
refused 0 "*m (squashfs), which the job itself has mounted*" \
	sh -c "mkdir m && mount -o loop,ro $tmp/image.squashfs m &&
		exec m/bin/sh -c '$counts'"
refused 0 "*current directory on *m (tmpfs), which the job itself has*" \
	sh -c "mkdir m && mount -t tmpfs none m && cd m && $counts"
# What is bound there has no number of its own.
refused 0 "*a file on *home/m (*), which the job itself has mounted*" \
	sh -c "mkdir m && mount --bind $tmp/image m && exec 5>m/file && $counts"
refused 0 "*current directory on *home/m (*), which the job itself has*" \
	sh -c "mkdir m && mount --bind $tmp/image m && cd m && $counts"
refused 0 "*memory of a file on *home/m (*), which the job itself has*" \
	sh -c "mkdir m && mount --bind $tmp/image m && exec m/bin/sh -c '$counts'"
# The name leads to the same file without it.
job=$(cd home && jobcr run --detach --output o.txt -- sh -c "mkdir m &&
	mount --bind m m && cd m && exec 5>file && $counts")
wait_for 10 has_lines home/o.txt 5
jobcr checkpoint "$job" --kill >log 2>&1 &&
	jobcr restore "$job" --detach >log 2>&1
result $? "a directory on itself is in nobody's way"
more_lines home/o.txt
result $? "the job goes on from there"
finish
