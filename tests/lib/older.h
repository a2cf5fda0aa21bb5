/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_OLDER_H
#define JOBCR_TESTS_LIB_OLDER_H

/*
 * From now on the kernel does for this process, and those that it makes, what
 * Linux 6.1 did: it looks for no pages (PAGEMAP_SCAN), finds no mapping by its
 * address (PROCMAP_QUERY), lets nobody ask or set
 * user dispatch by ptrace, and gives timers no
 * numbers but the next.
 */
void older_kernel(void);

/* Nor can its own programs (BPF) be asked. */
void kernel_without_bpf(void);

#endif
