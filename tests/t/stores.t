#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A user's job saved and restored through each kind of file system that a
# store may be on, with and without O_DIRECT: ext4, XFS, overlay, tmpfs, and a
# volume of three bricks of GlusterFS, which squashes root.
#
#   sh stores.t [KIND...]
set -u
# All that is mounted and started here ends with its namespaces.
if [ "$(id -u)" = 0 ] && [ ! "${STORES_INSIDE:-}" ]; then
	STORES_INSIDE=1
	export STORES_INSIDE
	exec unshare --mount --net --pid --fork --mount-proc --kill-child \
		sh "$0" "$@"
fi
built=$(cd "${top_builddir:-.}" && pwd)
. "${top_srcdir:-.}/tests/lib/jobs.sh"

alice=52001
trap 'clean_up 2>/dev/null; cd /; umount -l "$tmp"/fs/* "$tmp/layers" \
	"$tmp/bricks" 2>/dev/null; rm -rf "$tmp"' EXIT
progress=$tmp/progress
cp "$built/tests/cluster/progress" "$progress" || exit 1
mkdir home fs
chown $alice home

# What does not change, and is borrowed by the second snapshot.
cat >hold.py <<'PY'
import hashlib, mmap, os, time
m = mmap.mmap(-1, 16 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
m[:] = os.urandom(1 << 16) * 256
before = hashlib.sha256(m).digest()
open("held", "w").write("begun")
while not os.path.exists("end"):
    time.sleep(0.05)
open("held", "w").write(str(hashlib.sha256(m).digest() == before))
PY

# A disk of a number of MiB with a file system, at fs/KIND.
disk() { # kind MiB
	truncate -s "$2M" "$1.img" && "mkfs.$1" -q "$1.img" &&
		mount -o loop "$1.img" "fs/$1"
}

on_ext4() {
	disk ext4 256
}

on_xfs() {
	disk xfs 320
}

on_tmpfs() {
	mount -t tmpfs -o size=256m tmpfs fs/tmpfs
}

on_overlay() {
	mkdir layers && mount -t tmpfs -o size=256m tmpfs layers &&
		mkdir layers/lower layers/upper layers/work &&
		mount -t overlay -o "lowerdir=layers/lower,\
upperdir=layers/upper,workdir=layers/work" overlay fs/overlay
}

# Its daemons find their own files where they look for those of the node.
on_gluster() {
	for dir in /var/lib/glusterd /run/gluster /var/log/glusterfs; do
		mkdir -p "$dir" &&
			mount -t tmpfs -o size=64m tmpfs "$dir" || return
	done
	mkdir bricks && mount -t tmpfs -o size=512m tmpfs bricks &&
		ip link set lo up && ip address add 10.99.0.1/24 dev lo &&
		glusterd -p "$tmp/glusterd.pid" || return
	volume='gluster --mode=script volume'
	wait_for 20 $volume info || return
	$volume create store 10.99.0.1:"$tmp/bricks/1" \
		10.99.0.1:"$tmp/bricks/2" 10.99.0.1:"$tmp/bricks/3" force &&
		$volume start store || return
	wait_for 20 mount -t glusterfs 10.99.0.1:/store fs/gluster
}

# From now on root may do there no more than anybody.
squash_gluster() {
	may_write() {
		mkdir fs/gluster/of-root && rmdir fs/gluster/of-root
	}
	may_not() {
		! may_write
	}
	may_write && $volume set store server.root-squash on &&
		wait_for 10 may_not
}

needs() { # kind
	case $1 in
	gluster) command -v glusterd && command -v mount.glusterfs ;;
	overlay) grep -qw overlay /proc/filesystems ;;
	tmpfs) true ;;
	*) command -v "mkfs.$1" ;;
	esac >/dev/null
}

jobcr_a() {
	(cd home && as $alice "$top_builddir/jobcr" "$@")
}

# Are the pages read past the page cache by who reads all of them?
reads_direct() { # command...
	(cd home && as $alice strace -f -o trace -e trace=openat \
		"$top_builddir/jobcr" "$@") >log 2>&1 &&
		grep -q '\.pages\..*O_RDONLY' home/trace || return
	direct=false
	! grep '\.pages\.' home/trace | grep -q O_DIRECT || direct=true
}

through() { # kind true|false
	how="$1, DirectIO = $2"
	sed -i -e '/^StoreDir/d' -e '/^DirectIO/d' -e '/^RunDir/d' \
		-e '/^Incremental/d' "$JOBCR_CONF"
	cat >>"$JOBCR_CONF" <<CONF
StoreDir = "$tmp/fs/$1/store"
RunDir = "$tmp/run"
DirectIO = $2
Incremental = "yes"
CONF
	start_daemon || return
	rm -f home/out home/end home/held
	job=$(jobcr_a run --detach --output out -- env PROGRESS_END=end \
		sh -c 'python3 "$1/hold.py" & "$2" 30 40 2 2 16
			result=$?; wait; exit $result' sh "$tmp" "$progress")
	wait_for 20 has_lines home/out 5
	wait_for 20 test -s home/held
	jobcr_a checkpoint "$job" >log 2>&1
	result $? "$how: a snapshot of a job that goes on"
	wait_for 20 has_lines home/out 10
	jobcr_a checkpoint --kill --json "$job" >log 2>&1
	result $? "$how: one that ends it"
	grep -q '"borrowed_bytes":[1-9]' log ||
		grep -q '"not_borrowed":".*kernel' log
	result $? "$how: it has pages of the first"
	jobcr_a verify "$job.1" >log 2>&1 && jobcr_a verify "$job.2" >>log 2>&1
	result $? "$how: both are whole"
	if command -v strace >/dev/null; then
		reads_direct verify "$job.2" && [ $direct = "$2" ] &&
			pid=$(jobcr_a show "$job.2" |
				awk '$5 == "running" { print $1; exit }') &&
			reads_direct core "$job.2" "$pid" -o core --force &&
			[ $direct = "$2" ] &&
			reads_direct export "$job.2" -o x.tar --force &&
			[ $direct = "$2" ]
		result $? "$how: so they are read"
	fi
	jobcr_a keep "$job.1" >log 2>&1 && jobcr_a keep "$job.1" --off >>log 2>&1
	result $? "$how: one is kept, and no more"
	touch home/end
	jobcr_a restore "$job" >log 2>&1
	result $? "$how: the job goes on from it"
	jobcr_a wait "$job" >log 2>&1
	result $? "$how: it ends well"
	is "$(cat home/held)" True "$how: with the memory that it had"
	sort home/out | cmp -s - undisturbed
	result $? "$how: with the output of an undisturbed run"
	noted "fs/$1/store/local/$job/history" ' restore '
	jobcr_a history "$job" >log 2>&1 && grep -q restore log
	result $? "$how: it has a history"
	jobcr_a delete "$job" >log 2>&1
	[ -z "$(as $alice find "fs/$1/store" -name '*.pages*' 2>log)" ]
	result $? "$how: nothing is left of its snapshots"
	stop_daemon
}

"$progress" 30 1 2 2 16 | sort >undisturbed
for kind in ${*:-ext4 xfs tmpfs overlay gluster}; do
	if ! needs "$kind"; then
		count=$((count + 1))
		echo "ok $count # SKIP no $kind here"
		continue
	fi
	mkdir "fs/$kind"
	# As jobcr(7) has it where root is squashed.
	"on_$kind" >log 2>&1 && chmod 0755 "fs/$kind" &&
		mkdir -m 0755 "fs/$kind/store" &&
		mkdir -m 1777 "fs/$kind/store/local" &&
		mkdir -m 0700 "fs/$kind/store/local/.writers" &&
		chown 65534 "fs/$kind/store/local/.writers"
	result $? "$kind is there"
	if [ "$kind" = gluster ]; then
		squash_gluster >log 2>&1
		result $? "it squashes root"
	fi
	through "$kind" true
	through "$kind" false
done
finish
