#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Affinity is kept as a position in the allocation, not as CPU numbers.
top_builddir=${top_builddir:-.}
exec "$top_builddir/tests/lib/roundtrip" -m none -m plain -m cpus \
	"$top_builddir/tests/victims/affinity"
