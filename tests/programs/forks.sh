#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A shell and hundreds of short children: calls that their ends interrupt.
set -u
i=0
while [ $i -lt 800 ]; do
	x=$(/bin/echo $i) || { echo "echo: $?"; exit 7; }
	[ "$x" = $i ] || { echo "got '$x'"; exit 8; }
	/bin/true || { echo "true: $?"; exit 9; }
	i=$((i+1))
done
echo $i > result
