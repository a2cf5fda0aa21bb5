#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The same where Slurm starts no extern step: jobcrd's own look at its jobs
# finds the preemption.
CLUSTER_CONTAIN=no
export CLUSTER_CONTAIN
. "$(dirname "$0")/preempt.t"
