/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/cached.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

#define PAGE 4096u

#ifndef __NR_cachestat
#define __NR_cachestat 451 /* Linux 6.5 */
#endif

/* Not in the C library's headers yet. */
struct range {
	uint64_t offset, len;
};

struct counts {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static int64_t count_there(const uint8_t *there, size_t pages)
{
	int64_t n = 0;

	for (size_t i = 0; i < pages; i++)
		n += there[i] & 1;
	return n * PAGE;
}

/* To those who may not know mincore says that all is there. */
static int64_t ask_mapping(int fd, uint64_t offset, uint64_t len)
{
	const uint64_t start = offset / PAGE * PAGE;
	const size_t pages = (size_t)((offset + len - start + PAGE - 1) / PAGE);
	auto_free uint8_t *there = malloc(pages);
	int64_t n;
	void *p;

	if (!there)
		return -ENOMEM;
	if (faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
		return -errno;
	p = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, (off_t)start);
	if (p == MAP_FAILED)
		return -errno;
	n = mincore(p, pages * PAGE, there) < 0 ? -errno
						: count_there(there, pages);
	(void)munmap(p, pages * PAGE);
	return n;
}

int64_t cached_bytes(int fd, uint64_t offset, uint64_t len)
{
	const struct range range = { offset, len };
	struct counts counts = { 0 };

	/* To it no length is all the rest. */
	if (!len)
		return 0;
	if (syscall(__NR_cachestat, fd, &range, &counts, 0) == 0)
		return (int64_t)(counts.cached * PAGE);
	return errno == ENOSYS ? ask_mapping(fd, offset, len) : -errno;
}
