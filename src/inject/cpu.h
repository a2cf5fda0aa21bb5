/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_CPU_H
#define JOBCR_INJECT_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* What this node's CPU and kernel offer to user programs. */
#define CPU_WORDS 10 /* CPUID 1.ecx 1.edx 7.0.ebx/ecx/edx 7.1.eax ... */
struct cpu_info {
	uint64_t xcr0;
	uint32_t xstate_size; /* standard format, everything permitted */
	uint32_t words[CPU_WORDS];
	uint32_t offset[64], size[64]; /* of XSAVE components; 0: none */
};
void cpu_info_read(struct cpu_info *ret);

/*
 * -ENOTSUP naming the features of saved that here lacks.  level: the job uses
 * no more than that of the psABI (x86-64-vN), 0: it may use anything.
 */
int cpu_check(const struct cpu_info *here, uint64_t xcr0, const uint32_t *words,
	      size_t count, uint32_t level, struct err *err);

/* Register state that saved has and here has not: bits as in XCR0. */
uint64_t cpu_missing_states(const struct cpu_info *here, uint64_t xcr0);
const char *cpu_state_name(unsigned int number);

#endif
