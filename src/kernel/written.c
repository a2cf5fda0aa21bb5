/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/written.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/pagemap.h"
#include "kernel/userfault.h"
#include "util/cleanup.h"

#define PAGE  4096ull
#define BATCH 512

int written_begin(int fd, struct err *err)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_WP_ASYNC };

	if (ioctl(fd, UFFDIO_API, &api) < 0)
		return err_sys(err, "userfaultfd");
	return 0;
}

int written_watch(int fd, uint64_t start, uint64_t end)
{
	struct uffdio_register arg = {
		.range = { .start = start, .len = end - start },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return ioctl(fd, UFFDIO_REGISTER, &arg) < 0 ? -errno : 0;
}

int written_leave(int fd, uint64_t start, uint64_t end)
{
	struct uffdio_range arg = { .start = start, .len = end - start };

	return ioctl(fd, UFFDIO_UNREGISTER, &arg) < 0 ? -errno : 0;
}

/* Up to where something else is mapped, the kernel goes; that is looked for. */
int written_unmark(int fd, uint64_t start, uint64_t end)
{
	struct uffdio_writeprotect arg = {
		.range = { .start = start, .len = end - start },
	};
	uint64_t middle = start + (end - start) / PAGE / 2 * PAGE;
	int r;

	if (ioctl(fd, UFFDIO_WRITEPROTECT, &arg) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (middle == start)
		return 0;
	r = written_unmark(fd, start, middle);
	return r < 0 ? r : written_unmark(fd, middle, end);
}

int written_scan(int pagemap_fd, uint64_t start, uint64_t end, bool arm,
		 struct page_run *runs, size_t room, size_t *ret_count,
		 uint64_t *ret_next)
{
	struct scan_region regions[BATCH];
	struct scan_arg arg = {
		.size = sizeof(arg),
		.flags = SCAN_CHECK_ASYNC | (arm ? SCAN_PROTECT : 0),
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = room < BATCH ? room : BATCH,
		/* Marks are for what is there: holes would get tables. */
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.category_inverted = SCAN_PFNZERO | SCAN_GUARD,
		.category_mask = SCAN_PFNZERO | SCAN_GUARD,
		.return_mask = SCAN_WRITTEN | SCAN_PRESENT | SCAN_SWAPPED,
	};
	int n = ioctl(pagemap_fd, PAGEMAP_SCAN_IOCTL, &arg);

	/* Before 6.15 guards are not told, and before 6.13 there are none. */
	if (n < 0 && errno == EINVAL) {
		arg.category_inverted &= ~SCAN_GUARD;
		arg.category_mask &= ~SCAN_GUARD;
		n = ioctl(pagemap_fd, PAGEMAP_SCAN_IOCTL, &arg);
	}
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		runs[i] = (struct page_run){
			.start = regions[i].start,
			.end = regions[i].end,
			.swapped = (regions[i].categories & SCAN_SWAPPED) != 0,
			.written = (regions[i].categories & SCAN_WRITTEN) != 0,
		};
	*ret_count = (size_t)n;
	*ret_next = arg.walk_end;
	return 0;
}

bool written_is_huge(int pagemap_fd, uint64_t start, uint64_t end)
{
	struct scan_region region;
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)&region,
		.vec_len = 1,
		.category_mask = SCAN_HUGE,
		.return_mask = SCAN_HUGE,
	};

	return ioctl(pagemap_fd, PAGEMAP_SCAN_IOCTL, &arg) > 0;
}

static bool try_own(int fd, int pagemap_fd, uint8_t *page)
{
	uint64_t at = (uint64_t)(uintptr_t)page, next;
	struct page_run run;
	struct err unused;
	size_t n = 0;

	*page = 1;
	return written_begin(fd, &unused) == 0 &&
	       written_watch(fd, at, at + PAGE) == 0 &&
	       written_scan(pagemap_fd, at, at + PAGE, true, &run, 1, &n,
			    &next) == 0 &&
	       written_scan(pagemap_fd, at, at + PAGE, false, &run, 1, &n,
			    &next) == 0 &&
	       n == 1 && !run.written;
}

bool written_supported(void)
{
	auto_close int fd = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
	auto_close int pagemap_fd =
		open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool good;

	if (page == MAP_FAILED)
		return false;
	good = fd >= 0 && pagemap_fd >= 0 && try_own(fd, pagemap_fd, page);
	(void)munmap(page, PAGE);
	return good;
}
