/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that was never touched reads as zero, whatever was done in the
 * process meanwhile: allocators rely on it.  All private anonymous memory is
 * looked at, the stack's far end too.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/victim.h"

#define PAGE	  4096u
#define AREAS_MAX 64
#define PAGES_MAX 4096
#define FRESH	  (1u << 20)

static char maps[65536];
static uint64_t untouched[PAGES_MAX];
static size_t count;

/* Present or swapped pages have one of these two bits in pagemap. */
static void look(int pagemap, uint64_t start, uint64_t end)
{
	uint64_t at, entry;

	for (at = start; at < end; at += PAGE) {
		victim_need(pread(pagemap, &entry, 8, (off_t)(at / PAGE * 8)) ==
				    8,
			    "pagemap");
		if (!(entry >> 62) && count < PAGES_MAX)
			untouched[count++] = at;
	}
}

static void look_at_all(void)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t len = 0;
	char *line;
	ssize_t n;

	memset(untouched, 1, sizeof(untouched));
	while ((n = read(fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += (size_t)n;
	victim_need(pagemap >= 0 && len > 0, "own memory");
	for (line = strtok(maps, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long start, end, inode;

		if (sscanf(line, "%lx-%lx rw-p %*x %*x:%*x %lu", &start, &end,
			   &inode) == 3 &&
		    !inode)
			look(pagemap, start, end);
	}
	close(fd);
	close(pagemap);
}

static bool is_zero(uint64_t at)
{
	const unsigned char *p = (const unsigned char *)(uintptr_t)at;

	return !p[0] && !memcmp(p, p + 1, PAGE - 1);
}

/* What waiting and looking use themselves counts as touched. */
static __attribute__((noinline)) void touch_stack(void)
{
	char below[32768];

	memset(below, 1, sizeof(below));
	__asm__ volatile("" : : "r"(below) : "memory");
}

/* Where it is and what it begins with, for whoever looks for the culprit. */
static void tell(uint64_t at)
{
	const uint64_t *p = (const uint64_t *)(uintptr_t)at;
	unsigned int first = 0;
	char here;

	while (first < PAGE / 8 - 4 && !p[first])
		first++;
	victim_check(false,
		     "page %#llx (stack %p): word %u is %#llx %#llx %#llx",
		     (unsigned long long)at, (void *)&here, first,
		     (unsigned long long)p[first],
		     (unsigned long long)p[first + 1],
		     (unsigned long long)p[first + 2]);
}

int main(void)
{
	unsigned char *fresh = mmap(NULL, FRESH, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i, wrong = 0;

	victim_need(fresh != MAP_FAILED, "mmap");
	touch_stack();
	look_at_all();
	victim_need(count >= FRESH / PAGE, "untouched memory");

	victim_wait();

	for (i = 0; i < count; i++) {
		if (is_zero(untouched[i]))
			continue;
		wrong++;
		tell(untouched[i]);
	}
	victim_check(wrong == 0, "%zu of %zu pages are not zero", wrong,
		     count);
	victim_verdict(true, "untouched memory is zero");
}
