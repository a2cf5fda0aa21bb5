// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages in swap: private ones, some of which a child shares copy-on-write;
 * shared memory; a memfd; private pages of a file that were written.
 * tests/t/swap.t runs it where there is swap.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "util/newer_mman.h"
#include "victim.h"

#define LEN     (512 * PAGE)
#define SWAPPED (1ull << 62)

static char *map(int flags, int fd)
{
	char *at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, flags, fd, 0);

	victim_need(at != MAP_FAILED, "mmap");
	return at;
}

static uint32_t value(const char *base, size_t i)
{
	return (uint32_t)(i * 2654435761u) ^ (uint32_t)(uintptr_t)base;
}

static void fill(char *base)
{
	for (size_t i = 0; i < LEN / PAGE; i++) {
		uint32_t v = value(base, i);

		memcpy(base + i * PAGE + i % 4000, &v, sizeof(v));
	}
}

static void check(const char *what, const char *base)
{
	for (size_t i = 0; i < LEN / PAGE; i++) {
		uint32_t v = value(base, i), found;

		memcpy(&found, base + i * PAGE + i % 4000, sizeof(found));
		if (!victim_check(found == v, "%s, page %zu: %#x, not %#x",
				  what, i, found, v))
			return;
	}
}

/* How many of its pages the kernel has put into swap for this process. */
static size_t in_swap(const char *base)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entries[LEN / PAGE];
	size_t n = 0;

	if (pread(fd, entries, sizeof(entries),
		  (off_t)((uintptr_t)base / PAGE * 8)) != sizeof(entries))
		victim_need(false, "pagemap");
	close(fd);
	for (size_t i = 0; i < LEN / PAGE; i++)
		n += (entries[i] & SWAPPED) != 0;
	return n;
}

static void put_out(char *base)
{
	victim_need(madvise(base, LEN, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
}

static char *own, *common, *shared, *named, *of_file;

static void check_all(void)
{
	check("private memory", own);
	check("shared copy-on-write", common);
	check("shared memory", shared);
	check("a memfd", named);
	check("a file's private pages", of_file);
}

static int file_of(const char *name)
{
	int fd = open(victim_path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	victim_need(fd >= 0 && ftruncate(fd, LEN) == 0, name);
	return fd;
}

int main(void)
{
	int fd = memfd_create("swapped", MFD_CLOEXEC), status;
	pid_t child;

	victim_need(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd");
	own = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	common = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	shared = map(MAP_SHARED | MAP_ANONYMOUS, -1);
	named = map(MAP_SHARED, fd);
	of_file = map(MAP_PRIVATE, file_of("file"));
	fill(own);
	fill(common);
	fill(shared);
	fill(named);
	fill(of_file);
	put_out(own);
	if (in_swap(own) < LEN / PAGE / 2)
		victim_skip("no page gets into swap");
	put_out(shared);
	put_out(named);
	put_out(of_file);
	/* Half of it goes before the fork, both have the same swap entries. */
	madvise(common, LEN / 2, MADV_PAGEOUT);
	child = fork();
	if (child == 0) {
		victim_wait_go();
		check_all();
		_exit(0);
	}
	victim_need(child > 0, "fork");
	/* Of what both have the kernel puts out what it likes. */
	put_out(common);

	victim_wait();

	victim_check(waitpid(child, &status, 0) == child && status == 0,
		     "the child ended with %#x", (unsigned int)status);
	check_all();
	fill(own);
	check("written again", own);
	victim_verdict(victim_interrupts == 0, "what was in swap is there");
}
