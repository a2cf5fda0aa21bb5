#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration, as whoever reads README.md runs it: about a minute.
. "$(dirname "$0")/lib.sh"

cluster_needs
/usr/bin/python3 -c "import numpy" 2>/dev/null ||
	skip_all "needs python3 with numpy (see ./bootstrap packages)"
out=$(mktemp /tmp/jobcr-demo-out.XXXXXX) || exit 99
trap 'rm -f "$out"' EXIT

"$top_srcdir/tests/cluster/demo" "$top_builddir" >"$out" 2>&1
is $? 0 "the demonstration ends well"

# says N PATTERN TEXT: on so many lines.
says() {
	is "$(grep -c "$2" "$out")" "$1" "$3"
}
says 2 'has the higher priority and wants node n' "two jobs are preempted"
says 2 'jobcrd of n[12] has saved job' "both are saved"
says 4 "MiB at .* MiB/s, .* in all" "with what that and the restores cost"
says 2 'goes on, on node n' "both go on"
says 2 'has ended: COMPLETED, exit code 0:0' "and end"
says 2 "SAME: its [0-9]* lines of output are" \
	"as the undisturbed ones, byte for byte"
says 1 '^Both jobs were preempted, moved, and ended as if' "it says so"
[ $failures -eq 0 ] || note "$(cat "$out")"
done_testing
