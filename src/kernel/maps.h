/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_MAPS_H
#define JOBCR_KERNEL_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* What smaps' VmFlags line says, and the image's VmaRecord.flags. */
#define VMA_GROWSDOWN    (1ull << 0)  /* gd */
#define VMA_LOCKED       (1ull << 1)  /* lo */
#define VMA_LOCKONFAULT  (1ull << 2)  /* lf */
#define VMA_NORESERVE    (1ull << 3)  /* nr */
#define VMA_SEQUENTIAL   (1ull << 4)  /* sr */
#define VMA_RANDOM       (1ull << 5)  /* rr */
#define VMA_DONTFORK     (1ull << 6)  /* dc */
#define VMA_DONTDUMP     (1ull << 7)  /* dd */
#define VMA_WIPEONFORK   (1ull << 8)  /* wf */
#define VMA_MERGEABLE    (1ull << 9)  /* mg */
#define VMA_HUGEPAGE     (1ull << 10) /* hg */
#define VMA_NOHUGEPAGE   (1ull << 11) /* nh */
#define VMA_HUGETLB      (1ull << 12) /* ht */
#define VMA_DROPPABLE    (1ull << 13) /* dp */
#define VMA_SYNC         (1ull << 14) /* sf */
#define VMA_UFFD         (1ull << 15) /* um ui */
#define VMA_SEALED       (1ull << 16) /* sl */
#define VMA_SHADOW_STACK (1ull << 17) /* ss */
#define VMA_IO           (1ull << 18) /* io */
#define VMA_PFNMAP       (1ull << 19) /* pf */
#define VMA_MIXEDMAP     (1ull << 20) /* mm */
#define VMA_DONTEXPAND   (1ull << 21) /* de */
#define VMA_ACCOUNT      (1ull << 22) /* ac */
#define VMA_MAYREAD      (1ull << 23) /* mr */
#define VMA_MAYWRITE     (1ull << 24) /* mw */
#define VMA_MAYEXEC      (1ull << 25) /* me */
#define VMA_MAYSHARE     (1ull << 26) /* ms */
#define VMA_GUARD        (1ull << 27) /* gu */
#define VMA_UFFD_WRITES  (1ull << 28) /* uw */
#define VMA_UNKNOWN      (1ull << 63) /* a letter pair not listed here */

struct vma {
	uint64_t start, end, offset, inode, flags;
	uint32_t prot; /* PROT_* */
	uint32_t dev_major, dev_minor;
	uint32_t pkey;
	uint64_t page_size; /* of the kernel, bytes; 0 from maps */
	/* smaps: bytes of it that are in memory or in swap, but for huge pages
	 * and the zero page; maps: not known. */
	uint64_t present;
#define VMA_PRESENT_UNKNOWN UINT64_MAX
	uint8_t shared;
	/* smaps: some of its pages are, or may be, others' too. */
	uint8_t common;
	uint8_t watched; /* by us: whoever claims it says so */
	uint8_t policy;  /* numa_maps.h: it may have one */
	char *path;      /* as printed, "" for none; owned by the list */
};

struct vma_list {
	struct vma *v;
	size_t count;
};

/*
 * Parse smaps (with flags) or maps (flags 0) of an open /proc/PID: ascending,
 * without overlap.  Of a process that runs it is a picture of several moments.
 */
int maps_read(int proc_fd, struct vma_list *ret, struct err *err);
int maps_read_fast(int proc_fd, struct vma_list *ret, struct err *err);
void maps_done(struct vma_list *list);

/* Whether there are at most so many. */
bool maps_few(int proc_fd, size_t most);

/*
 * Linux 6.13 to 6.18 have guard regions (MADV_GUARD_INSTALL) but no VMA_GUARD:
 * there every mapping may hold some.
 */
int maps_guards_hidden(bool *ret, struct err *err);

/* The mapping that holds addr, or NULL. */
const struct vma *maps_find(const struct vma_list *list, uint64_t addr);

/*
 * The name of the mapping that holds addr ("[vdso]"), cheaply where the kernel
 * can be asked; "": it has none, or one longer than room, or there is none.
 */
int maps_name_at(int proc_fd, uint64_t addr, char *ret, size_t room,
		 struct err *err);

/*
 * Whether the kernel looks for pages in mappings without a look at each place
 * where there may be one (Linux 6.7).
 */
bool pagemap_finds(void);

/*
 * Whether nothing is looked for where smaps says that nothing is: only where
 * each place would have to be looked at, and no memory of this machine has
 * failed, as smaps does not count pages that have.
 */
bool pagemap_trusts_smaps(void);

/*
 * The kernel's page size of the mapping that holds addr, as smaps has it; 0:
 * there is none, or the kernel cannot be asked.
 */
uint64_t maps_page_size(int proc_fd, uint64_t addr);

/*
 * PAGEMAP_SCAN over [start, end): runs of pages of one kind, up to room;
 * *ret_next says where to go on (== end: done).
 *
 * PAGES_OWN: with content of their own; guard tells runs that are guard regions
 * and hold nothing.
 * PAGES_OVER_FILE: in a private mapping of a file: the zero page, too, as KSM
 * may put it where a program has written zeroes, which are not the same as none
 * there; file tells runs that are the file's.  Slower: the kernel looks at each
 * page, not only at its entry.
 * PAGES_GUARD: guard regions alone, where the kernel tells them; the quickest.
 */
enum pages_kind { PAGES_OWN, PAGES_OVER_FILE, PAGES_GUARD };
struct page_run {
	uint64_t start, end;
	uint8_t guard, file, swapped;
	uint8_t written; /* of written.h */
};
int pagemap_scan(int pagemap_fd, enum pages_kind kind, uint64_t start,
		 uint64_t end, struct page_run *runs, size_t room,
		 size_t *ret_count, uint64_t *ret_next, struct err *err);

#endif
