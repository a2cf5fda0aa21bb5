/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inject/frame.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

/* The kernel's rt_sigframe of x86_64; libc's ucontext is longer. */
struct frame_regs {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
};

struct frame_altstack {
	uint64_t sp;
	int32_t flags, pad;
	uint64_t size;
};

struct frame {
	uint64_t restorer;
	uint64_t uc_flags, uc_link;
	struct frame_altstack altstack;
	struct frame_regs regs;
	uint64_t sigmask;
	uint8_t siginfo[128];
};

#define UC_FP_XSTATE         1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4

/* Software bytes inside the XSAVE area, and what follows it. */
#define MXCSR_OFFSET    24
#define SW_OFFSET       464
#define BV_OFFSET       512
#define HEADER_END      576
#define FP_MAGIC1       0x46505853u
#define FP_MAGIC2       0x46505845u
#define TILE_DATA       (1ull << 18)
#define FEATURES_LEGACY 3 /* x87 and SSE */

struct frame_sw {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};

/*
 * A mode that sigaltstack does not know: rt_sigreturn then leaves the
 * alternate stack alone and says nothing.
 */
#define ALTSTACK_KEEP 7

static void put_regs(const struct user_regs_struct *u, struct frame_regs *f)
{
	*f = (struct frame_regs){
		.r8 = u->r8,
		.r9 = u->r9,
		.r10 = u->r10,
		.r11 = u->r11,
		.r12 = u->r12,
		.r13 = u->r13,
		.r14 = u->r14,
		.r15 = u->r15,
		.di = u->rdi,
		.si = u->rsi,
		.bp = u->rbp,
		.bx = u->rbx,
		.dx = u->rdx,
		.ax = u->rax,
		.cx = u->rcx,
		.sp = u->rsp,
		.ip = u->rip,
		.flags = u->eflags,
		.cs = (uint16_t)u->cs,
		.gs = (uint16_t)u->gs,
		.fs = (uint16_t)u->fs,
		.ss = (uint16_t)u->ss,
	};
}

/*
 * The kernel accepts an area only up to the size this very process may use,
 * and resets all vectors without a word if it is larger.  Tile data is the
 * one part that needs a permission: whoever has live tiles has it, and for
 * anybody else they are left out, which means "initial".
 */
static int put_xstate(const struct frame_context *ctx, uint8_t *area,
		      size_t room, size_t *ret_len, struct err *err)
{
	struct frame_sw sw = { .magic1 = FP_MAGIC1 };
	const uint32_t magic2 = FP_MAGIC2;
	uint64_t kernel, live;
	size_t size = HEADER_END;

	if (ctx->xstate_len < HEADER_END)
		return err_set(err, -ENOTSUP, "this CPU has no XSAVE");
	memcpy(&kernel, ctx->xstate + SW_OFFSET, sizeof(kernel));
	memcpy(&live, ctx->xstate + BV_OFFSET, sizeof(live));
	if (!(live & TILE_DATA))
		kernel &= ~TILE_DATA;
	for (unsigned int i = 2; i < 64; i++) {
		size_t end = ctx->cpu->offset[i] + ctx->cpu->size[i];

		if ((kernel >> i & 1) && end > size)
			size = end;
	}
	if (size > ctx->xstate_len || size + sizeof(magic2) > room)
		return err_set(err, -ENOTSUP,
			       "extended state of %zu bytes, %zu read", size,
			       ctx->xstate_len);
	sw.xfeatures = kernel;
	sw.xstate_size = (uint32_t)size;
	sw.extended_size = (uint32_t)(size + sizeof(magic2));
	live &= kernel;
	memcpy(area, ctx->xstate, size);
	memcpy(area + SW_OFFSET, &sw, sizeof(sw));
	memset(area + BV_OFFSET, 0, HEADER_END - BV_OFFSET);
	memcpy(area + BV_OFFSET, &live, sizeof(live));
	memcpy(area + size, &magic2, sizeof(magic2));
	*ret_len = size + sizeof(magic2);
	return 0;
}

bool frame_has_tiles(const uint8_t *xstate, size_t len)
{
	uint64_t live = 0;

	if (len >= HEADER_END)
		memcpy(&live, xstate + BV_OFFSET, sizeof(live));
	return live & TILE_DATA;
}

void frame_area(uint8_t buf[FRAME_AREA])
{
	const struct frame_sw sw = { .magic1 = FP_MAGIC1,
				     .xfeatures = FEATURES_LEGACY,
				     .xstate_size = HEADER_END,
				     .extended_size =
					     HEADER_END + sizeof(uint32_t) };
	const uint16_t fcw = 0x37f;
	const uint32_t mxcsr = 0x1f80, magic2 = FP_MAGIC2;

	memset(buf, 0, FRAME_AREA);
	memcpy(buf, &fcw, sizeof(fcw));
	memcpy(buf + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	memcpy(buf + SW_OFFSET, &sw, sizeof(sw));
	memcpy(buf + HEADER_END, &magic2, sizeof(magic2));
}

int frame_build(const struct frame_context *ctx, uint64_t addr,
		uint8_t buf[FRAME_MAX], size_t *ret_len, struct err *err)
{
	/* XRSTOR wants its area on a multiple of 64. */
	const size_t at = (sizeof(struct frame) + 63) & ~(size_t)63;
	struct frame f = {
		.restorer = ctx->restorer,
		.uc_flags =
			UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.altstack.flags = ALTSTACK_KEEP,
		.sigmask = ctx->sigmask,
	};
	size_t len = 0;
	int r;

	put_regs(ctx->regs, &f.regs);
	if (ctx->area) {
		f.regs.fpstate = ctx->area;
		*ret_len = offsetof(struct frame, siginfo);
		memcpy(buf, &f, *ret_len);
		return 0;
	}
	r = put_xstate(ctx, buf + at, FRAME_MAX - at, &len, err);
	if (r < 0)
		return r;
	f.regs.fpstate = addr + at;
	memset(buf, 0, at);
	memcpy(buf, &f, sizeof(f));
	*ret_len = at + len;
	return 0;
}
