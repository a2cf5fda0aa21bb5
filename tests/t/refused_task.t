#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A process that cannot be saved whole is refused by name, and goes on.
set -u
top_builddir=${top_builddir:-.}
roundtrip=$top_builddir/tests/lib/roundtrip
victim=$top_builddir/tests/victims/refused_task

if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
{
	for kind in filtered-undo denied-undo thread-undo mourner; do
		"$roundtrip" -m resume "$victim" "$kind"
	done
	for kind in timer sparse; do
		"$roundtrip" -m old "$victim" "$kind"
	done
	for kind in cpuid cookie flusher landlock ldt ports undo semaphore shm msg \
		traced chroot mounted namespace network mounts ipc cgroups \
		clocks container orphan files directory leader adopted; do
		"$roundtrip" -H -m resume "$victim" "$kind"
	done
} | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
