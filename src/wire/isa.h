/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_ISA_H
#define JOBCR_WIRE_ISA_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Levels of the x86-64 psABI.  A job of a level promises not to use more, and
 * can be restored on every node that has it.
 */
#define ISA_LOWEST   2
#define ISA_HIGHEST  4
#define ISA_VARIABLE "GLIBC_TUNABLES"
#define ISA_TEXT     4096

/* "x86-64-v3": 3; -EINVAL. */
int isa_parse(const char *text, uint32_t *ret);

/*
 * The value of ISA_VARIABLE by which the C library keeps to a level; current:
 * what it has, or NULL.  -E2BIG: no room for it.
 */
int isa_tunables(uint32_t level, const char *current, char ret[ISA_TEXT],
		 struct err *err);

#endif
