#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The same with processes tracked and constrained by cgroups.  Of the
# preemption tells the end of the extern step, and nobody else in time.
[ -d /sys/fs/cgroup/freezer ] || {
	echo "1..0 # SKIP needs the v1 freezer in /sys/fs/cgroup"
	exit 0
}
TRACK=cgroup
CLUSTER_CONF='SlurmInterval = 0'
export TRACK CLUSTER_CONF
. "$(dirname "$0")/preempt.t"
