#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Many snapshots in a row of jobs that wait all the time go unnoticed by them:
# no call is interrupted, no timer loses a tick.
set -u
cd "${top_builddir:-.}" || exit 1
snapshots=${SNAPSHOTS:-10}
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
{
	tests/lib/roundtrip -m none -m often -n "$snapshots" \
		tests/victims/ticks
	tests/lib/roundtrip -m often -n "$snapshots" -u user \
		tests/victims/interrupted.victim
} | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
