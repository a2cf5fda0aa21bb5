#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A process whose filters or dispatch of calls might harm it if a checkpoint
# were killed is refused by name, and goes on.
set -u
top_builddir=${top_builddir:-.}
roundtrip=$top_builddir/tests/lib/roundtrip
victim=$top_builddir/tests/victims/refused_filter

if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
{
	for kind in kill trap trace restart munmap sigreturn argument notify \
		strict dispatch same shared; do
		"$roundtrip" -m resume "$victim" "$kind"
	done
	for kind in dispatch same shared; do
		"$roundtrip" -m old -u user "$victim" "$kind"
	done
	# Where nobody can tell of dispatch, who cannot have it is not refused.
	"$roundtrip" -m blind "$victim" handler
	"$roundtrip" -m blind -u user "$top_builddir/tests/victims/counter.victim"
} | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
