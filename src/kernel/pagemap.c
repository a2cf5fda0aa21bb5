/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of a mapping hold something of their own.  PAGEMAP_SCAN (Linux
 * 6.7) is asked first: it skips holes in the page tables.  A kernel without
 * it is asked page by page.
 */
#include "kernel/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "kernel/maps.h"
#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Bits of an entry of /proc/PID/pagemap. */
#define PM_PRESENT (1ull << 63)
#define PM_SWAPPED (1ull << 62)
#define PM_FILE    (1ull << 61)
#define PM_GUARD   (1ull << 58)

#define PAGE  4096ull
#define BATCH 512

#define MEMINFO_MAX 65536

/*
 * The zero page is no content; a guard region looks swapped, so it is told
 * apart before anything else.
 */
static void take_region(struct page_run *run, const struct scan_region *g)
{
	*run = (struct page_run){
		.start = g->start,
		.end = g->end,
		.guard = (g->categories & SCAN_GUARD) != 0,
		.file = (g->categories & SCAN_FILE) != 0,
		.swapped = (g->categories & SCAN_SWAPPED) != 0,
	};
}

/* Before Linux 6.15 the guard category is unknown, and so are guards. */
static int scan_ioctl(int fd, struct scan_arg *arg)
{
	int n = ioctl(fd, PAGEMAP_SCAN_IOCTL, arg);

	if (n >= 0 || errno != EINVAL)
		return n;
	if (arg->category_mask & SCAN_GUARD) {
		arg->walk_end = arg->end;
		return 0;
	}
	arg->return_mask &= ~SCAN_GUARD;
	return ioctl(fd, PAGEMAP_SCAN_IOCTL, arg);
}

/* Nothing that need not be looked at: each costs a look at each page. */
static void choose(struct scan_arg *arg, enum pages_kind kind)
{
	switch (kind) {
	case PAGES_OWN:
		arg->category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED;
		arg->category_inverted = arg->category_mask = SCAN_PFNZERO;
		arg->return_mask = SCAN_SWAPPED | SCAN_GUARD;
		break;
	case PAGES_OVER_FILE:
		arg->category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED;
		arg->return_mask = SCAN_FILE | SCAN_SWAPPED | SCAN_GUARD;
		break;
	case PAGES_GUARD:
		arg->category_mask = arg->return_mask = SCAN_GUARD;
		break;
	}
}

bool pagemap_finds(void)
{
	auto_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct scan_arg arg = { .size = sizeof(arg) };

	return fd >= 0 &&
	       (ioctl(fd, PAGEMAP_SCAN_IOCTL, &arg) >= 0 || errno != ENOTTY);
}

/* A kernel that says nothing of it does not know of such pages. */
static bool has_failed_memory(void)
{
	auto_free char *text = NULL;
	struct err ignored;
	uint64_t kb = 0;
	size_t len;

	if (read_file_at(AT_FDCWD, "/proc/meminfo", MEMINFO_MAX, &text, &len,
			 &ignored) < 0)
		return true;
	(void)proc_text_u64(text, "HardwareCorrupted", 10, &kb, &ignored);
	return kb > 0;
}

bool pagemap_trusts_smaps(void)
{
	return !pagemap_finds() && !has_failed_memory();
}

static int scan_fast(int fd, enum pages_kind kind, uint64_t start, uint64_t end,
		     struct page_run *runs, size_t room, size_t *ret_count,
		     uint64_t *ret_next)
{
	struct scan_region regions[BATCH];
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = room < BATCH ? room : BATCH,
	};
	int n;

	choose(&arg, kind);
	n = scan_ioctl(fd, &arg);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		take_region(&runs[i], &regions[i]);
	*ret_count = (size_t)n;
	*ret_next = arg.walk_end;
	return 0;
}

/* Add a page to the runs; false when there is no room for it. */
static bool add_page(enum pages_kind kind, struct page_run *runs, size_t room,
		     size_t *count, uint64_t addr, uint64_t entry)
{
	const uint64_t wanted = kind == PAGES_GUARD
					? PM_GUARD
					: PM_PRESENT | PM_SWAPPED | PM_GUARD;
	struct page_run one = {
		.start = addr,
		.end = addr + PAGE,
		.guard = (entry & PM_GUARD) != 0,
		.file = (entry & PM_FILE) != 0,
		.swapped = (entry & PM_SWAPPED) != 0,
	};
	struct page_run *last = *count ? &runs[*count - 1] : NULL;

	if (!(entry & wanted))
		return true;
	if (last && last->end == addr && last->guard == one.guard &&
	    last->file == one.file && last->swapped == one.swapped) {
		last->end += PAGE;
		return true;
	}
	if (*count == room)
		return false;
	runs[(*count)++] = one;
	return true;
}

static int scan_slow(int fd, enum pages_kind kind, uint64_t start, uint64_t end,
		     struct page_run *runs, size_t room, size_t *ret_count,
		     uint64_t *ret_next)
{
	uint64_t entries[BATCH], addr = start;
	size_t count = 0;

	while (addr < end) {
		size_t want = (end - addr) / PAGE;
		ssize_t n;

		if (want > BATCH)
			want = BATCH;
		n = pread(fd, entries, want * sizeof(*entries),
			  (off_t)(addr / PAGE * sizeof(*entries)));
		if (n < 0)
			return -errno;
		if (n < (ssize_t)sizeof(*entries))
			return -ENODATA;
		for (size_t i = 0; i < (size_t)n / sizeof(*entries); i++) {
			if (!add_page(kind, runs, room, &count, addr,
				      entries[i]))
				goto full;
			addr += PAGE;
		}
	}
full:
	*ret_count = count;
	*ret_next = addr;
	return 0;
}

int pagemap_scan(int pagemap_fd, enum pages_kind kind, uint64_t start,
		 uint64_t end, struct page_run *runs, size_t room,
		 size_t *ret_count, uint64_t *ret_next, struct err *err)
{
	int r = scan_fast(pagemap_fd, kind, start, end, runs, room, ret_count,
			  ret_next);

	if (r == -ENOTTY)
		r = scan_slow(pagemap_fd, kind, start, end, runs, room,
			      ret_count, ret_next);
	if (r < 0)
		return err_num(err, r, "pagemap of %llx-%llx",
			       (unsigned long long)start,
			       (unsigned long long)end);
	return 0;
}
