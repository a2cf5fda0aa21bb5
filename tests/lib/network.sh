# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced first: the test goes on in a network of its own, with a loopback, so
# that ports and addresses are nobody else's.

if [ -z "${JOBCR_NETWORK:-}" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null ||
		! unshare --net true 2>/dev/null; then
		echo "1..0 # SKIP needs root, ip and a network namespace"
		exit 0
	fi
	exec env JOBCR_NETWORK=ours unshare --net sh "$0" "$@"
fi
ip link set lo up || exit 1
