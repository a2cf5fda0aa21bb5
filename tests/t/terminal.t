#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Terminals of local jobs, with a jobcrd.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"
command -v python3 >/dev/null || {
	echo "1..0 # SKIP no python3"
	exit 0
}
top_srcdir=$(cd "$OLDPWD" && cd "$top_srcdir" && pwd)
export top_srcdir top_builddir
start_daemon
# TESTED: some of them.
export HAVE_DAEMON=1
python3 "$top_srcdir/tests/t/terminal.py" ${TESTED:-exit shell attach flood restore screen input refused own driven}
