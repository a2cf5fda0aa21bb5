#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# mpi.sh STARTER PROGRAM: four ranks on one node, by what starts them.
exec "$1" -n 4 "$2" </dev/null
