// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Registers.  XSAVE components are stored by number, so that nodes whose
 * CPUs lay them out differently understand each other.  Those in their
 * initial state are left out: what the kernel's buffer holds there may be
 * stale.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "inject/cpu.h"
#include "resource/resource.h"
#include "util/cleanup.h"

#define GENERAL        (sizeof(struct user_regs_struct) / 8)
#define CODE_64        0x33 /* selector of 64-bit user code */
#define COMPONENTS     63   /* bit 63 of XSTATE_BV says compacted */
#define MXCSR_DEFAULT  0x1f80u
#define XSTATE_BV      512
#define LEGACY_CONTROL 24 /* x87 control words are before, MXCSR behind */
#define LEGACY_ST      32
#define LEGACY_XMM     160
#define LEGACY_XMM_END 416
#define X87_BYTES      (LEGACY_CONTROL + LEGACY_XMM - LEGACY_ST)
#define XMM_BYTES      (LEGACY_XMM_END - LEGACY_XMM)
#define HEADER_END     576

_Static_assert(GENERAL == 27, "RegsRecord.general has 27 words");

static int regs_check(const struct dump_ctx *ctx,
		      const struct thread_view *thread, struct refusals *no,
		      struct err *err)
{
	(void)ctx;
	(void)err;
	if (thread->regs && thread->regs->cs != CODE_64)
		refusals_add(no, thread->task->ns_pid, thread->task->stat->comm,
			     -1, "build the program for 64 bits",
			     "thread %d runs 32-bit code", thread->ns_tid);
	return 0;
}

/* Bytes of a component; 0: the kernel knows it, we do not. */
static size_t component_size(const struct cpu_info *cpu, unsigned int number)
{
	if (number == 0)
		return X87_BYTES;
	return number == 1 ? XMM_BYTES : cpu->size[number];
}

/* Copy a component out of (or, out false, into) an XSAVE area. */
static void component_copy(const struct cpu_info *cpu, unsigned int number,
			   uint8_t *area, uint8_t *data, bool out)
{
	const struct {
		size_t at, len;
	} x87[] = { { 0, LEGACY_CONTROL },
		    { LEGACY_ST, LEGACY_XMM - LEGACY_ST } },
	  one[] = { { number == 1 ? LEGACY_XMM : cpu->offset[number],
		      component_size(cpu, number) },
		    { 0, 0 } };

	for (size_t i = 0; i < 2; i++) {
		size_t at = number == 0 ? x87[i].at : one[i].at;
		size_t len = number == 0 ? x87[i].len : one[i].len;

		memcpy(out ? data : area + at, out ? area + at : data, len);
		data += len;
	}
}

static bool component_fits(const struct cpu_info *cpu, unsigned int number,
			   size_t len)
{
	if (number < 2)
		return len >= HEADER_END;
	return cpu->size[number] && cpu->offset[number] >= HEADER_END &&
	       cpu->offset[number] + cpu->size[number] <= len;
}

struct parts {
	XstateComponent list[COMPONENTS], *pointers[COMPONENTS];
	uint8_t data[XSTATE_MAX];
};

static int take_apart(const struct cpu_info *cpu, uint8_t *area, size_t len,
		      struct parts *parts, RegsRecord *rec, struct err *err)
{
	uint64_t present;
	size_t used = 0, size;

	memcpy(&present, area + XSTATE_BV, sizeof(present));
	memcpy(&rec->mxcsr, area + LEGACY_CONTROL, sizeof(rec->mxcsr));
	for (unsigned int i = 0; i < COMPONENTS; i++) {
		if (!(present >> i & 1))
			continue;
		size = component_size(cpu, i);
		if (!component_fits(cpu, i, len) ||
		    used + size > sizeof(parts->data))
			return err_set(err, -ENOTSUP,
				       "CPU state component %u is not known",
				       i);
		xstate_component__init(&parts->list[i]);
		parts->list[i].number = i;
		parts->list[i].data.data = parts->data + used;
		parts->list[i].data.len = size;
		component_copy(cpu, i, area, parts->data + used, true);
		parts->pointers[rec->n_xstate++] = &parts->list[i];
		used += size;
	}
	rec->xstate = parts->pointers;
	return 0;
}

static int regs_dump(const struct dump_ctx *ctx,
		     const struct thread_view *thread, struct err *err)
{
	RegsRecord rec = REGS_RECORD__INIT;
	auto_free struct parts *parts = malloc(sizeof(*parts));
	auto_free uint8_t *area = malloc(XSTATE_MAX);
	uint64_t general[GENERAL];
	struct cpu_info cpu;
	size_t len;
	int r;

	if (!parts || !area)
		return err_num(err, ENOMEM, "registers");
	r = tracee_get_xstate(thread->tracee, area, XSTATE_MAX, &len, err);
	if (r < 0)
		return r;
	if (len < HEADER_END)
		return err_set(err, -ENOTSUP, "CPU state of %zu bytes", len);
	cpu_info_read(&cpu);
	r = take_apart(&cpu, area, len, parts, &rec, err);
	if (r < 0)
		return r;
	memcpy(general, thread->regs, sizeof(general));
	rec.tid = thread->ns_tid;
	rec.general = general;
	rec.n_general = GENERAL;
	rec.sigmask = thread->sigmask;
	return img_put(ctx->out, TAG_REGS, &rec.base, err);
}

static int put_together(const struct cpu_info *cpu, const RegsRecord *rec,
			uint8_t *area, size_t len, struct err *err)
{
	uint32_t mxcsr = rec->mxcsr;
	uint64_t present = 0;
	const XstateComponent *c;

	memset(area + XSTATE_BV, 0, HEADER_END - XSTATE_BV);
	for (size_t i = 0; i < rec->n_xstate; i++) {
		c = rec->xstate[i];
		/* Unused: the plan has seen to that. */
		if (c->number > 1 && c->number < COMPONENTS &&
		    !(cpu->xcr0 >> c->number & 1))
			continue;
		if (c->number >= COMPONENTS ||
		    !component_fits(cpu, c->number, len) ||
		    c->data.len != component_size(cpu, c->number))
			return err_set(err, -ENOTSUP,
				       "CPU state component %u of %zu bytes is "
				       "not as this CPU has it",
				       c->number, c->data.len);
		component_copy(cpu, c->number, area, c->data.data, false);
		present |= 1ull << c->number;
	}
	/* The kernel takes MXCSR only along with SSE or AVX. */
	if (!(present & 2) && mxcsr != MXCSR_DEFAULT) {
		memset(area + LEGACY_XMM, 0, XMM_BYTES);
		present |= 2;
	}
	memcpy(area + LEGACY_CONTROL, &mxcsr, sizeof(mxcsr));
	memcpy(area + XSTATE_BV, &present, sizeof(present));
	return 0;
}

/* The area that the thread has now gives length and software bytes. */
static int set_xstate(struct tracee *t, const RegsRecord *rec, struct err *err)
{
	auto_free uint8_t *area = malloc(XSTATE_MAX);
	struct cpu_info cpu;
	size_t len;
	int r;

	if (!area)
		return err_num(err, ENOMEM, "CPU state");
	r = tracee_get_xstate(t, area, XSTATE_MAX, &len, err);
	if (r < 0)
		return r;
	if (len < HEADER_END)
		return err_set(err, -ENOTSUP, "CPU state of %zu bytes", len);
	cpu_info_read(&cpu);
	r = put_together(&cpu, rec, area, len, err);
	return r < 0 ? r : tracee_set_xstate(t, area, len, err);
}

/*
 * Late, for PKRU may forbid what remote calls do.  General registers are set
 * by the engine when the last call has been made.
 */
static int regs_restore(struct restore_ctx *ctx, struct restore_task *task,
			struct restore_thread *thread,
			const ProtobufCMessage *msg, struct err *err)
{
	const RegsRecord *rec = (const RegsRecord *)msg;

	(void)ctx;
	(void)task;
	if (rec->n_general != GENERAL)
		return err_set(err, -EBADMSG, "%zu registers", rec->n_general);
	memcpy(&thread->regs, rec->general, sizeof(thread->regs));
	if (thread->regs.cs != CODE_64)
		return err_set(err, -EBADMSG, "code segment %#llx",
			       thread->regs.cs);
	/*
	 * No call is under way, unless a signal with a handler waits: then
	 * the kernel decides, by the handler's flags, whether the call that
	 * it interrupts is made again.
	 */
	if (!regs_in_call(&thread->regs))
		thread->regs.orig_rax = UINT64_MAX;
	thread->sigmask = rec->sigmask;
	thread->have_regs = true;
	return set_xstate(&thread->tracee, rec, err);
}

const struct resource_ops res_regs = {
	.name = "regs",
	.saved = "general registers, x87, SSE, AVX, AVX-512, PKRU, AMX",
	.refused = "32-bit code",
	.changes = "a call with a part of its bytes through returns how many",
	.tag = TAG_REGS,
	.scope = SCOPE_THREAD,
	.stage = STAGE_LAST,
	.check_thread = regs_check,
	.dump_thread = regs_dump,
	.restore = regs_restore,
};
