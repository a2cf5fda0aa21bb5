#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# restic, a Go program: a repository with a backup, restored.
set -eu
export RESTIC_PASSWORD=secret RESTIC_REPOSITORY=repository
mkdir data
for i in 1 2 3; do
	seq $((i * 1000)) $((i * 1000 + 100000)) >data/$i
done
# It tells how far it is, and what the repository is called.
{
	restic --no-cache init
	restic --no-cache backup data
	restic --no-cache restore latest --target back
} >log 2>&1
(cd back/data && sha256sum -- *) >digest
rm -rf repository back data log
