#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory of huge pages of a pool: saved and restored in every way.
set -u
cd "${top_builddir:-.}" || exit 1
victim=$PWD/tests/victims/hugetlb.victim
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
# Of the small ones twice what the victim takes: others may take some too.
if [ -z "${HUGE_DIR:-}" ]; then
	exec tests/lib/hugepages 96 2 sh "$0"
fi
{
	tests/lib/roundtrip "$victim" "$HUGE_DIR"
	tests/lib/roundtrip -m killed -m cpus -u root "$victim" "$HUGE_DIR"
	tests/lib/roundtrip -m plain -m twice -m pin -u user "$victim" large
	tests/lib/roundtrip -H -m plain -u root tests/victims/refused_memory \
		sysv-huge
	tests/lib/roundtrip "$victim" sysv
} | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
