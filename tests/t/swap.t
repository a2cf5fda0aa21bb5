#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory that is in swap, in a swap file of this test.
set -u
top_builddir=${top_builddir:-.}
roundtrip=$top_builddir/tests/lib/roundtrip
victim=$top_builddir/tests/victims/swapped.victim

skip() {
	echo "1..0 # SKIP $*"
	exit 0
}
[ "$(id -u)" = 0 ] || skip "needs root"
dir=$(mktemp -d /var/tmp/jobcr-swap.XXXXXX) || exit 1
file=$dir/swap
trap 'swapoff "$file" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
dd if=/dev/zero of="$file" bs=1M count=64 2>/dev/null && chmod 0600 "$file" &&
	mkswap "$file" >/dev/null 2>&1 && swapon "$file" 2>/dev/null ||
	skip "no swap file can be used here"
for mode in plain resume twice pin killed; do
	"$roundtrip" -m $mode "$victim"
done | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
