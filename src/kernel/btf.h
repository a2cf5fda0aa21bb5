/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_BTF_H
#define JOBCR_KERNEL_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The running kernel's own description of its types (BTF), as far as a
 * program of a few loads needs it.
 */
struct btf {
	char *data;
	size_t len;
	bool mapped;  /* of the kernel's own memory */
	uint32_t *at; /* where types begin in data, by their number */
	size_t ntypes;
	size_t types_end, strings, strings_end; /* in data */
};

/* Negative errno: there is none, or it is not in the known format. */
int btf_read(const char *path, struct btf *ret);
void btf_done(struct btf *b);

/* Its number among types, or -ENOENT. */
int btf_function(const struct btf *b, const char *name);

/*
 * Where a member of so many bytes, a number or an address, lies in a
 * structure, or -ENOENT, also for what is farther than 32 KiB away; 0 bytes:
 * whatever it is.  It may be within a structure or union that has no name, and
 * within one that has ("outer.inner").
 */
int btf_member(const struct btf *b, const char *structure, const char *member,
	       size_t bytes);

/* Its bytes, or -ENOENT. */
int btf_size(const struct btf *b, const char *structure);

/* The value of a name of an enumeration, whichever; -ENOENT: there is none. */
int btf_enumerator(const struct btf *b, const char *name, int32_t *ret);

#endif
