#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever cannot be saved whole is refused by name, and the job goes on.
set -u
top_builddir=${top_builddir:-.}
roundtrip=$top_builddir/tests/lib/roundtrip
victim=$top_builddir/tests/victims/refused

if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
for kind in tcp unix udp netlink inotify inotify_removed pidfd thread_pidfd io_uring \
	userfaultfd perf_event namespace terminal terminal_typed \
	terminal_output terminal_packet terminal_locked \
	terminal_discipline terminal_given maps secretmem second_link \
	removed_directory lease write_lease; do
	"$roundtrip" -m resume "$victim" "$kind"
done | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
