#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that nobody here wrote, and some of ours by compilers, libraries and
# ways to link that nobody here chose, are killed at a random moment and
# restored: they end with the same files and status as undisturbed.
set -u
# Other tests have ports of their own, which may be those of a program here.
if [ "$(id -u)" = 0 ] && [ ! "${PROGRAMS_APART:-}" ]; then
	PROGRAMS_APART=1
	export PROGRAMS_APART
	exec unshare --net sh -c 'ip link set lo up && exec sh "$0" "$@"' \
		"$0" "$@"
fi
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

tmp=$(mktemp -d /tmp/jobcr-programs.XXXXXX) || exit 1
chmod 0755 "$tmp"
trap 'rm -rf "$tmp"' EXIT

run_java() { # java.sh or another that is used like it
	if ! command -v javac >/dev/null 2>&1; then
		echo "ok 1 # SKIP javac is not installed"
	elif sh "$programs/$1" compile "$tmp" >"$tmp/errors" 2>&1; then
		"$survive" -n "$rounds" "$programs/$1" "$tmp"
	else
		echo "not ok 1 - javac must compile"
		sed 's/^/# /' "$tmp/errors"
	fi
}

# linked NAME COMPILER [OPTION...]: a small program, made by it.
linked() {
	name=$1
	shift
	if ! command -v "$1" >/dev/null 2>&1; then
		echo "ok 1 # SKIP $1 is not installed"
	elif "$@" -O2 -pthread -o "$tmp/$name" "$programs/threads.c" \
		>"$tmp/errors" 2>&1; then
		"$survive" -n "$rounds" "$tmp/$name"
	else
		echo "not ok 1 - $* must make a program"
		sed 's/^/# /' "$tmp/errors"
	fi
}

# run_mpi COMPILER STARTER [TRANSPORT]: of one implementation.
run_mpi() {
	if ! command -v "$1" >/dev/null 2>&1; then
		echo "ok 1 # SKIP $1 is not installed"
	elif "$1" -O2 -o "$tmp/mpi" "$programs/mpi.c" >"$tmp/errors" 2>&1; then
		"$survive" -n "$rounds" "$programs/mpi.sh" "$2" "$tmp/mpi" \
			${3:+"$3"}
	else
		echo "not ok 1 - $1 must make a program"
		sed 's/^/# /' "$tmp/errors"
	fi
}

{
	run /usr/bin/python3 "$programs/python.sh"
	run /usr/bin/python3 "$programs/asyncio.sh"
	run /usr/bin/python3 "$programs/multiprocessing.sh"
	# It runs with a group of its own, which a user has not got.
	run ssh-agent -r "$programs/agent.sh"
	run bash "$programs/pipeline.sh"
	run sh "$programs/forks.sh"
	run script "$programs/script.sh"
	run /usr/bin/python3 "$programs/pty.sh"
	run gzip "$programs/gzip.sh"
	run sqlite3 "$programs/sqlite.sh"
	run perl "$programs/perl.sh"
	run sh "$top_builddir/tests/programs/openmp"
	run sh "$top_builddir/tests/programs/torture"
	run sh "$top_builddir/tests/programs/stream"
	run sh "$top_builddir/tests/programs/pool"
	run_java java.sh
	run_java nio.sh
	run_java http.sh
	run node "$programs/node.sh"
	run node "$programs/node_sockets.sh"
	run restic "$programs/restic.sh"
	run rg "$programs/ripgrep.sh"
	run redis-server "$programs/redis.sh"
	run ab "$programs/nginx.sh"
	run make "$programs/make.sh"
	run "$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | tail -n 1)" \
		"$programs/postgres.sh"
	run_mpi mpicc.mpich mpiexec.mpich
	run_mpi mpicc.mpich mpiexec.mpich tcp
	run_mpi mpicc.openmpi mpiexec.openmpi
	run_mpi mpicc.openmpi mpiexec.openmpi tcp
	run tmux "$programs/tmux.sh"
	linked static gcc -static
	linked static-pie gcc -static-pie
	linked musl musl-gcc
	linked musl-static musl-gcc -static
	# Debian's is built for processors that have it, and says so.
	if grep -qw rdtscp /proc/cpuinfo; then
		run gmx "$programs/gromacs.sh"
	else
		echo "ok 1 # SKIP gmx cannot run without the rdtscp instruction"
	fi
} | awk -f "${top_srcdir:-.}/tests/lib/points.awk"
