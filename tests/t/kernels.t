#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# jobcr works under the kernel that Debian has, too.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}

skip() {
	echo "1..0 # SKIP $*"
	exit 0
}

[ "$(id -u)" = 0 ] || skip "needs root"
for tool in qemu-system-x86_64 cpio modprobe mke2fs busybox; do
	command -v "$tool" >/dev/null || skip "$tool is not installed"
done
kernel=$(sh "$top_srcdir/tests/vm/kernel" -n 2>/dev/null) ||
	skip "no kernel: tests/vm/kernel fetches it"

timeout 300 sh "$top_srcdir/tests/vm/smoke" -k "$kernel" "$top_builddir" |
	awk -f "$top_srcdir/tests/lib/points.awk"
