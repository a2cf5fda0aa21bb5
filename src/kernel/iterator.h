/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_ITERATOR_H
#define JOBCR_KERNEL_ITERATOR_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/btf.h"

/*
 * BPF programs of some loads, assembled here, that the kernel runs for each
 * of its own objects of a kind, and whose output is read like a file.  They
 * need CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, and a kernel that describes
 * its types.
 */

#define PROGRAM_INSNS 64

/* Registers: what calls return and take, and what they leave alone. */
enum {
	REG_RESULT,
	REG_1,
	REG_2,
	REG_3,
	REG_CTX = 6, /* what the program was called with */
	REG_OBJECT,  /* a place for what this one is about */
	REG_FRAME = 10
};

struct program {
	uint64_t v[PROGRAM_INSNS];
	size_t n;
	const struct btf *types;
	int missing; /* 0, or -ENOENT: something that is not there */
};

/* An instruction as in linux/bpf.h. */
void program_put(struct program *p, uint8_t code, uint8_t to, uint8_t from,
		 int offset, int32_t imm);

/*
 * to = *(from + member), of bytes (4 or 8), see btf_member; an address that is
 * none reads as 0.
 */
void program_load(struct program *p, uint8_t to, uint8_t from,
		  const char *structure, const char *member, size_t bytes);

/* The word that lies at the frame pointer + at. */
void program_save(struct program *p, uint8_t from, int at);

/* Go to where program_land is called with what this returns, if reg is 0. */
size_t program_jump_if_zero(struct program *p, uint8_t reg);
void program_land(struct program *p, size_t jump);

/*
 * The number of the thread whose task_struct is in reg, from REG_CTX on, in the
 * pid namespace of the current one, which reads the output; 0: it has none
 * there.  REG_RESULT to REG_3 are used up.
 */
void program_save_tid(struct program *p, uint8_t reg, int at);

/* A call of one of the kernel's helpers. */
void program_call(struct program *p, int32_t helper);

/*
 * Append len bytes at the frame pointer + at to the output; context: the
 * structure that the program was called with.
 */
void program_write(struct program *p, const char *context, int at, int len);

/*
 * function: of the kernel, what the program is for.  assemble begins when
 * REG_CTX is set, and does not care for the end.  Ready to be used: a
 * descriptor, closed by the caller; or a negative errno.
 */
typedef void (*assemble_fn)(struct program *p);
int iterator_open(const char *function, const char *name, assemble_fn assemble);

/*
 * The output of a run of it, to be read: a descriptor, closed by the caller.
 * tid: of this thread only, a number of our own pid namespace (Linux 6.1;
 * before: -EINVAL); 0: of all.
 */
int iterator_run(int iterator_fd, uint32_t tid);

/* Records of a program's output; v is the caller's: free. */
struct iterator_records {
	uint8_t *v;
	size_t bytes; /* of one */
	size_t most;  /* more are refused: -E2BIG */
	size_t count, room;
};

/*
 * Append what one read of a run's output gives; ret: how many records, 0 at
 * the end.
 */
int iterator_read(int fd, struct iterator_records *records, size_t *ret);

#endif
