#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that nobody here wrote are killed at a random moment and restored:
# they end with the same files and status as undisturbed.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
survive=$top_builddir/tests/lib/survive
programs=$top_srcdir/tests/programs
rounds=${PROGRAM_ROUNDS:-2}

if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi

# One program; what it needs may be missing here.
run() {
	need=$1
	shift
	if ! command -v "$need" >/dev/null 2>&1; then
		echo "ok 1 # SKIP $need is not installed"
		return
	fi
	"$survive" -n "$rounds" "$@"
}

{
	run /usr/bin/python3 "$programs/python.sh"
	run bash "$programs/pipeline.sh"
	run sh "$programs/forks.sh"
	run gzip "$programs/gzip.sh"
	run sqlite3 "$programs/sqlite.sh"
	run perl "$programs/perl.sh"
	run sh "$top_builddir/tests/programs/openmp"
	# Debian's is built for processors that have it, and says so.
	if grep -qw rdtscp /proc/cpuinfo; then
		run gmx "$programs/gromacs.sh"
	else
		echo "ok 1 # SKIP gmx cannot run without the rdtscp instruction"
	fi
} | awk '
	/^(not )?ok / {
		n++
		if ($1 == "not") { bad = 1; $3 = n } else $2 = n
		print
		next
	}
	/^1\.\./ { next }
	{ print }
	END { print "1.." n; exit bad }'
