/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_VICTIMS_MAPPING_H
#define JOBCR_TESTS_VICTIMS_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What victims with memory have in common. */
#define PAGE 4096ul

/* A pattern that tells every word and every seed apart. */
void pattern_fill(void *at, size_t len, uint64_t seed);
bool pattern_holds(const void *at, size_t len, uint64_t seed);
bool all_zero(const void *at, size_t len);

/*
 * Take down, then compare, how every mapping of this process looks in smaps:
 * range, rights, offset, name and flags.  A difference is a failed check.
 */
void mappings_note(void);
void mappings_compare(void);

#endif
