/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_VDSO_H
#define JOBCR_ENGINE_VDSO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/vdso.h"
#include "snapshot/snapshot.h"
#include "util/err.h"

/*
 * A job keeps pointers into the vDSO of the kernel that it began with.  On a
 * kernel with the same one the kernel's goes to that address; on another the
 * recorded image stays there, see vdso_redirect and foreign.h.
 */

/* SHA-256 of an image, for PartRecord.vdso_digest. */
int vdso_digest(const struct vdso_image *image, uint8_t ret[DIGEST_BYTES],
		struct err *err);

/* The offset of a `syscall` in an image. */
int vdso_syscall(const struct vdso_image *image, uint64_t *ret,
		 struct err *err);

/* Where calls go: the running kernel's image, mapped at base. */
struct vdso_target {
	struct vdso_image image;
	uint64_t base;
	uint32_t random_size; /* see vdso_random_size */
};

/*
 * Turn the image of another kernel (data, whose getrandom wants random_size
 * bytes of state) into one whose functions lead to to's: by a jump at their
 * entry; to the system call where to has none of that name, or another state
 * of getrandom; to -ENOSYS where there is no such call.  All else is left as
 * it is: headers and symbols are read by programs.  -ENOTSUP: a function has
 * no room; -EBADMSG: no vDSO.
 */
int vdso_redirect(uint8_t *data, size_t len, uint32_t random_size,
		  const struct vdso_target *to, struct err *err);

/* Is data, as long as image, what vdso_redirect once made of it? */
bool vdso_was_redirected(uint8_t *data, const struct vdso_image *image);

#endif
