#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What cannot be saved is refused by name, and the job goes on.
set -u
cd "${top_builddir:-.}" || exit 1
victim=tests/victims/refused_memory
n=0
fail=0
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
for kind in $($victim); do
	host=-H
	[ "$kind" != sysv-other ] || host=
	modes=plain
	[ "$kind" != failed-memory ] || modes="plain small old-failed"
	for mode in $modes; do
		out=$(tests/lib/roundtrip $host -m $mode -u root $victim "$kind")
		n=$((n + 1))
		line=$(echo "$out" | grep -E '^(not )?ok ' | head -n 1)
		case $line in
		"ok "*) echo "$line" | sed "s/^ok [0-9]*/ok $n/" ;;
		*)
			fail=1
			echo "not ok $n - $kind"
			;;
		esac
		echo "$out" | grep '^#'
	done
done
echo "1..$n"
exit $fail
