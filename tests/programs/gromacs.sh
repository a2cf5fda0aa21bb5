#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# GROMACS: a small box of water, two threads, reproducible.
set -eu
cat >topol.top <<'TOP'
#include "oplsaa.ff/forcefield.itp"
#include "oplsaa.ff/spc.itp"
[ system ]
water
[ molecules ]
TOP
cat >run.mdp <<'MDP'
integrator = md
dt = 0.002
nsteps = 3000
nstenergy = 1000
nstxout = 1000
cutoff-scheme = Verlet
coulombtype = PME
rcoulomb = 0.8
rvdw = 0.8
tcoupl = v-rescale
tc-grps = System
tau-t = 0.1
ref-t = 300
ld-seed = 42
gen-vel = yes
gen-seed = 42
constraints = h-bonds
MDP
export GMX_MAXBACKUP=-1
unset OMP_NUM_THREADS
# Threads that spin at a barrier keep each other from it on a busy machine.
export OMP_WAIT_POLICY=passive
gmx -quiet solvate -cs spc216.gro -box 1.9 1.9 1.9 -p topol.top -o box.gro \
	>prepare 2>&1
gmx -quiet grompp -f run.mdp -c box.gro -p topol.top -o run.tpr >>prepare 2>&1
gmx -quiet mdrun -s run.tpr -c final.gro -x -o traj.trr -e ener.edr \
	-ntmpi 1 -ntomp 2 -pin off -reprod -notunepme >mdrun 2>&1
sha256sum final.gro traj.trr >digest
# These have times and dates in them.
rm -f prepare mdrun md.log run.tpr ener.edr state.cpt mdout.mdp traj.trr
