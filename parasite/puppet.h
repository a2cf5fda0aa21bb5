/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_PARASITE_PUPPET_H
#define JOBCR_PARASITE_PUPPET_H

/*
 * jobcr-puppet: a process that stands in the place of one of the job until
 * the worker has turned it into that.  It waits and never returns.  Static,
 * without a C library: no rseq, no thread area, nothing mapped but a page of
 * code, the buffer, its stack and what the kernel maps (vDSO).  Linked to
 * fixed addresses (local.mk), which are above vm.mmap_min_addr everywhere.
 */
#define PUPPET_SYSCALL	   0x200000 /* a `syscall`; then it waits again */
#define PUPPET_ENTRY	   0x200002
#define PUPPET_BATCH	   0x200009 /* a table of them, see puppet.S */
#define PUPPET_CODE_SIZE   128	/* all of it; it may stand anywhere */
#define PUPPET_BUFFER	   0x210000 /* memory for remote calls */
#define PUPPET_BUFFER_SIZE 0x10000

#endif
