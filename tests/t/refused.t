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
{
	for kind in tcp_waiting tcp_urgent tcp_urgent_inline tcp_self \
		tcp_reset tcp_closing tcp_connecting \
		tcp_keys tcp_keys_connected tcp_filter udp_filter udp_empty \
		udp_locked socket_name udp_corked udp_member udp_member6 udp_peek other_network \
		mptcp udplite raw packet alg vsock unix_urgent unix_filter \
		unix_empty unix_dead unix_epoll unix_waiting unix_relative \
		epoll_signalfd netlink inotify inotify_readers inotify_removed pidfd \
		thread_pidfd io_uring userfaultfd \
		xdp bpf_map landlock_ruleset mount_context \
		perf_event namespace shm_names fanotify maps secretmem second_link \
		removed_directory broken_lease \
		unlinked_lease write_lease large_queue \
		notified_queue; do
		"$roundtrip" -m resume "$victim" "$kind"
	done
	for kind in unopened typed output packet locked discipline given held \
		high ended; do
		"$roundtrip" -m resume "${victim}_terminal" "$kind"
	done
	"$roundtrip" -H -m resume "$victim" queue_of_the_node
} | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
