/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_VDSO_H
#define JOBCR_KERNEL_VDSO_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* The bytes of a [vdso] mapping, all of it. */
struct vdso_image {
	const uint8_t *data;
	size_t len;
};

/* That of the running kernel, in our own memory; -ENOTSUP: it has none. */
int vdso_own(struct vdso_image *ret, struct err *err);

/* What a program may call in it; one entry for each place. */
#define VDSO_FUNCTIONS 32
struct vdso_function {
	char name[32];   /* without "__vdso_" in front */
	uint32_t offset; /* in the image */
	uint32_t room;   /* bytes from there that are its own */
};

/* An image is hostile input: -EBADMSG where it is no vDSO. */
int vdso_functions(const struct vdso_image *image,
		   struct vdso_function ret[VDSO_FUNCTIONS], size_t *ret_count,
		   struct err *err);

/*
 * Bytes of state that its getrandom wants from callers, as it tells them
 * (Linux 6.11); 0: it has no such function.
 */
uint32_t vdso_random_size(void);

#endif
