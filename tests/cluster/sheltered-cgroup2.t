#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The same where Slurm kills by cgroups of version 2.
TRACK=cgroup2
export TRACK
. "$(dirname "$0")/sheltered.t"
