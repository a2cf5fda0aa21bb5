/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_OLDER_H
#define JOBCR_TESTS_LIB_OLDER_H

#include <stdbool.h>

/*
 * From now on the kernel does for this process, and those that it makes, what
 * Linux 6.1 did: it looks for no pages (PAGEMAP_SCAN), finds no mapping by its
 * address (PROCMAP_QUERY), lets nobody ask or set user dispatch by ptrace, and
 * gives timers no numbers but the next.
 *
 * A program that is linked with older_text.c, and with its way around
 * read_file_at (-Wl,--wrap), does not read what fdinfo says since: whether an
 * eventfd is a semaphore.
 */
void older_kernel(void);

/* Was it called? */
bool older_is_on(void);

/* What is linked so is told that some memory of the machine has failed. */
void older_failed(bool on);
bool older_has_failed(void);

/* Nor can its own programs (BPF) be asked. */
void kernel_without_bpf(void);

#endif
