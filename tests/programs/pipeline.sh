#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bash and a pipeline of coreutils, with a background job and a wait.
set -eu -o pipefail
seq 1 40000 | while read -r n; do
	((n % 8)) || echo "$n $((n * n % 7919))"
done >squares &
seq 1 400000 | shuf --random-source=/usr/bin/bash | tee shuffled |
	sort -n -S 1M | awk '{ s += $1 * NR % 1009 } NR % 1000 == 0 { print s }' |
	tr 0-9 a-j | rev | cut -c 1-5 >sums
wait
sort -k 2n -k 1n squares | sha256sum >digest
sha256sum shuffled sums >>digest
