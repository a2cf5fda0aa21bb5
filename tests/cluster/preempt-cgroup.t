#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The same with processes tracked and constrained by cgroups.
[ -d /sys/fs/cgroup/freezer ] || {
	echo "1..0 # SKIP needs the v1 freezer in /sys/fs/cgroup"
	exit 0
}
TRACK=cgroup
export TRACK
. "$(dirname "$0")/preempt.t"
