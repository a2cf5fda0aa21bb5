#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Jobs that keep to a level of the CPU: what they are told, and that their
# snapshots say so, also those of a restored job.
set -u
. "${top_srcdir:-.}/tests/lib/jobs.sh"

level_of() { # JOBID.GENERATION
	jobcr show "$1" --records --json | python3 -c 'import json, sys
text = sys.stdin.read()
at = text.find("\"isa\"")
print(text[at:].split(":")[1].split(",")[0].split()[0] if at >= 0 else "none")'
}

jobcr run --isa=x86-64-v9 -- true 2>err
is "$?" 1 "a level that is none starts nothing"
matches "$(cat err)" '*isa "x86-64-v9": x86-64-v2, x86-64-v3 or x86-64-v4*' \
	"and those that are, are named"
is "$(jobcr run -- sh -c 'echo "${GLIBC_TUNABLES-unset}"')" \
	"${GLIBC_TUNABLES-unset}" "without a level nothing is set"
matches "$(jobcr run --isa x86-64-v3 -- sh -c 'echo "$GLIBC_TUNABLES"')" \
	"*glibc.cpu.hwcaps=-AVX512F,*" "with one the C library is told"
matches "$(GLIBC_TUNABLES=glibc.malloc.perturb=0 jobcr run \
	--isa x86-64-v2 --interval 1h -- sh -c 'echo "$GLIBC_TUNABLES"' 2>&1)" \
	"*needs jobcrd*" "also beside other options"

job=$(jobcr run --detach --isa x86-64-v3 -- sleep 1000)
jobcr checkpoint "$job" --kill >/dev/null
is "$?" 0 "a job with a level is saved"
is "$(level_of "$job.1")" 3 "its snapshot has it"
jobcr restore "$job" --detach >/dev/null
is "$?" 0 "it is restored"
jobcr checkpoint "$job" --leave-running >/dev/null
is "$?" 0 "and saved again"
is "$(level_of "$job.2")" 3 "which that snapshot has too"
jobcr kill "$job" KILL

job=$(jobcr run --detach -- sleep 1000)
jobcr checkpoint "$job" --kill >/dev/null
is "$(level_of "$job.1")" none "without a level there is none"
finish
