/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_FRAME_H
#define JOBCR_INJECT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "inject/cpu.h"
#include "util/err.h"

/*
 * A signal frame as the kernel itself would lay it on a stack: rt_sigreturn
 * with the stack pointer behind its first word makes a thread what it was.
 */
#define FRAME_MAX 16384

struct frame_context {
	const struct cpu_info *cpu;
	const struct user_regs_struct *regs;
	uint64_t sigmask;
	const uint8_t *xstate; /* as tracee_get_xstate gives it */
	size_t xstate_len;
	bool bare; /* all extended state but its layout is left initial */
	uint64_t restorer; /* address of a call of rt_sigreturn */
};

/*
 * Lay a frame into buf so that it is right at address addr, which is a
 * multiple of 64.  *ret_len is what of buf is used.
 */
int frame_build(const struct frame_context *ctx, uint64_t addr,
		uint8_t buf[FRAME_MAX], size_t *ret_len, struct err *err);

#endif
