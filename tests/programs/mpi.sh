#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# mpi.sh STARTER PROGRAM [tcp]: four ranks on one node, by what starts them;
# they speak over shared memory or, as if they were on many, over TCP.
starter=$1 program=$2 rounds=150 leave=
case $starter in
*openmpi)
	# Its ranks let others run while they wait.
	rounds=2000
	;;
esac
case ${starter##*.}-${3:-shared} in
openmpi-shared) set -- --oversubscribe --mca btl self,vader ;;
openmpi-tcp)
	set -- --oversubscribe --mca btl self,tcp --mca btl_tcp_if_include lo
	;;
mpich-tcp)
	# Undisturbed, too, UCX over TCP often hangs in MPI_Finalize.
	set -- -genv MPIR_CVAR_NOLOCAL 1 -genv UCX_TLS tcp,self
	leave=leave
	;;
*) set -- ;;
esac
# Its session lies in a directory with the host's name and a pid, and every job
# has the same pids.
mkdir tmp
TMPDIR=$PWD/tmp
export TMPDIR
"$starter" "$@" -n 4 "$program" $rounds $leave </dev/null || exit 1
rm -rf tmp
