#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A worker that is killed at any moment of a checkpoint harms no job: it goes
# on, and can be checkpointed and restored afterwards.
set -u
cd "${top_builddir:-.}" || exit 1
n=0
fail=0
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
try() { # user victim
	out=$(tests/lib/roundtrip -m killed -u "$1" tests/victims/$2.victim)
	n=$((n + 1))
	case $(echo "$out" | grep -E "^(not )?ok 1 ") in
	"ok "*) echo "ok $n - $2 as $1 goes on" ;;
	*)
		fail=1
		echo "not ok $n - $2 as $1 goes on"
		echo "$out" | sed 's/^/# /'
		;;
	esac
}
try user threads
for victim in threads regs vma shmem memfd pipe epoll timer sigqueue tree \
	rewritten seccomp dispatch pty pty_session mqueue_messages; do
	try root $victim
done
echo "1..$n"
exit $fail
