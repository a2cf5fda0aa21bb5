/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_REMOTE_PARTS_H
#define JOBCR_INJECT_REMOTE_PARTS_H

/* What the files behind remote.h share. */

#include "inject/cpu.h"
#include "inject/place.h"
#include "inject/remote.h"

struct remote {
	pid_t pid;
	bool puppet;
	uint64_t syscall_addr, stack;
	uint64_t buffer;
	size_t buffer_len;
	struct place place;
	struct cpu_info cpu;
	uint8_t *sketch; /* of the buffer: what is laid goes there; or NULL */
	bool dirty;      /* scratch is to be put back */
	bool stuck; /* a thread could not be given back: it needs its frame */

	struct tracee *t; /* begun in it */
	struct user_regs_struct saved;
	uint64_t saved_mask;
	struct passage passage; /* of a job's thread, while begun in it */

	struct later *later; /* calls that a puppet has still to make */
};

#define ALL_SIGNALS UINT64_MAX

/* Registers of the begun thread for one call, on the frame. */
void remote_call_regs(const struct remote *r, struct user_regs_struct *regs,
		      long nr, const uint64_t args[6]);
int remote_set_call(struct remote *r, long nr, const uint64_t args[6],
		    struct err *err);

/*
 * May the begun thread make this call, though the tracer may die?  must: it
 * may not even fail.
 */
int remote_admits(const struct remote *r, long nr, const uint64_t args[6],
		  bool must, struct err *err);

/*
 * Its filters, if it has any, are not asked: only while it makes calls of
 * ours and stops after each, else the job would gain rights.
 */
int remote_suspend_filters(struct remote *r, bool suspend, struct err *err);

/* Into the buffer, or for now into the sketch of it. */
int remote_lay(struct remote *r, uint64_t addr, const void *buf, size_t len,
	       struct err *err);

/*
 * A frame at addr that makes the begun thread go on with these registers.
 * area: where its vectors lie, if they are not to be its own.
 */
int remote_put_frame(struct remote *r, const struct user_regs_struct *regs,
		     uint64_t mask, uint64_t addr, uint64_t area,
		     struct err *err);

/* Of a puppet's buffer; what is left of it for calls is returned. */
size_t later_take_room(struct remote *r, uint64_t buffer, size_t len);
void later_done(struct remote *r);

/*
 * Let the begun thread run until the word at addr is no more what it was.
 * Something must follow there that waits.  patience_ns 0: for ever.
 */
int await_word(struct remote *r, uint64_t addr, uint64_t before,
	       uint64_t patience_ns, struct err *err);

#endif
