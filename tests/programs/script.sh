#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# script(1) with a program in its terminal, which writes what it computes.
script -qec '
	tty
	for n in $(seq 1 250); do
		seq 1 $((n * 300)) | sha256sum
	done' typescript.raw </dev/null >shown &&
	grep -v ^Script typescript.raw >typescript && rm typescript.raw
