/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_VDSO_H
#define JOBCR_ENGINE_VDSO_H

#include <stddef.h>
#include <stdint.h>

#include "snapshot/snapshot.h"
#include "util/err.h"

/*
 * The vDSO of the running kernel, seen in our own memory: a job keeps
 * pointers into it, so a restore needs the same build at the same address.
 */

/* SHA-256 of the whole [vdso] mapping, for PartRecord.vdso_digest. */
int vdso_digest(uint8_t ret[DIGEST_BYTES], struct err *err);

/* Length of the mapping, and the offset of a `syscall` in its text. */
int vdso_layout(uint64_t *ret_len, uint64_t *ret_syscall, struct err *err);

#endif
