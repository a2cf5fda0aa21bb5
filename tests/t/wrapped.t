#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Numbers of processes begin anew when the highest has been given: a child of
# vfork, which is not to be stopped before its parent, has the lower one then.
set -u
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
cd "${top_builddir:-.}" || exit 1
# The shell there is the first; roundtrip and the victim get the last numbers.
last='echo $(($(cat /proc/sys/kernel/pid_max) - 20)) \
	>/proc/sys/kernel/ns_last_pid'
if ! unshare --pid --fork --mount-proc --kill-child sh -c "$last" 2>/dev/null
then
	echo "1..0 # SKIP numbers of processes cannot be chosen here"
	exit 0
fi
for mode in resume plain; do
	unshare --pid --fork --mount-proc --kill-child sh -c "$last
		tests/lib/roundtrip -m $mode -u root tests/victims/vfork.victim
		:"
done | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
