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
	uint64_t area;     /* address of vectors that lie elsewhere, or 0 */
	uint64_t restorer; /* address of a call of rt_sigreturn */
};

/*
 * Lay a frame into buf so that it is right at address addr, which is a
 * multiple of 64.  *ret_len is what of buf is used.
 */
#define FRAME_SHORT 320 /* at most, when the vectors lie elsewhere */
int frame_build(const struct frame_context *ctx, uint64_t addr,
		uint8_t buf[FRAME_MAX], size_t *ret_len, struct err *err);

/* Whether an XSAVE area has tiles (AMX) that are in use. */
bool frame_has_tiles(const uint8_t *xstate, size_t len);

/* Vectors as a program finds them at its begin, for a multiple of 64. */
#define FRAME_AREA 640
void frame_area(uint8_t buf[FRAME_AREA]);

#endif
