/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_PLACE_H
#define JOBCR_INJECT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "util/err.h"

/* An instruction, and where the file it was mapped from has it. */
struct place_code {
	uint64_t addr;
	unsigned int len; /* up to the end of its system call */
	uint64_t inode, offset;
	uint32_t dev_major, dev_minor;
};

/* Code and memory of a process that remote calls can use as they are. */
struct place {
	struct place_code call;     /* syscall; ret */
	struct place_code restorer; /* mov $15, %eax; syscall */
	uint64_t scratch;           /* a multiple of 4096 */
	uint8_t *saved; /* what was there: owned, PLACE_SCRATCH bytes */
};

#define PLACE_SCRATCH 32768

/* Whether a call whose instruction ends at ip is one that may be used. */
struct place_rule {
	bool (*allows)(const void *arg, uint64_t ip);
	const void *arg;
};

/*
 * Look, and change nothing.  All threads of pid are stopped, and rsp is the
 * leader's stack pointer.  like: the place of a process that may run the
 * same library, where to look first; or NULL.  rule: NULL for none.
 * -ENOTSUP names what the process does not have.
 */
int place_find(pid_t pid, uint64_t rsp, const struct place *like,
	       const struct place_rule *rule, struct place *ret,
	       struct err *err);
void place_done(struct place *p);

/*
 * Is a thread with these registers still on its way out of a remote call
 * whose tracer has died?  Its frame lies where the next one would, so it has
 * to get home before anything is done to its process.
 */
bool place_is_returning(pid_t pid, const struct user_regs_struct *regs);

#endif
