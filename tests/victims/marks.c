/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways of writing to memory, and of giving it away, that marks of written
 * pages could miss: through /proc/self/mem into a page that may not be
 * written to, by another process's call, past the page cache, under a guard,
 * as a huge page, beside a break that moves, in a child that has the pages in
 * common.  Each page is as it was last made.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"
#include "util/cleanup.h"
#include "util/newer_mman.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define PAGE  4096ul
#define HUGE  (512 * PAGE)
#define PAGES 1536u /* three huge pages */
#define BLOCK 16u
#define FREED 0x80000000u /* it may be zero, too */
#define GUARD 0x40000000u /* nobody may touch it */

static uint8_t *memory, *spare, *direct;
static uint8_t *other; /* where blocks of it may be, each at its place */
static bool away[PAGES / BLOCK];
static uint8_t *low; /* what the break has, PAGES of it at most */
static uint32_t made[PAGES], made_low[PAGES];
static uint32_t low_pages;
static volatile bool over;
static int file, ends[2];

static uint64_t word(uint32_t page, uint32_t how, size_t i)
{
	return how ? ((uint64_t)page << 40 | (uint64_t)how << 8) + i : 0;
}

static void make(uint8_t *at, uint32_t page, uint32_t how)
{
	uint64_t *w = (uint64_t *)(void *)at;

	for (size_t i = 0; i < PAGE / 8; i++)
		w[i] = word(page, how, i);
}

static bool is_made(const uint8_t *at, uint32_t page, uint32_t how)
{
	const uint64_t *w = (const uint64_t *)(const void *)at;

	if (how & GUARD)
		return true;
	if (how & FREED)
		how = w[0] ? how & ~FREED : 0;
	for (size_t i = 0; i < PAGE / 8; i++)
		if (w[i] != word(page, how, i))
			return victim_check(false,
					    "page %u at %p: word %zu is %#llx, "
					    "it was made %u",
					    page, (const void *)at, i,
					    (unsigned long long)w[i], how);
	return true;
}

static uint8_t *at(uint32_t page)
{
	return (away[page / BLOCK] ? other : memory) + page * PAGE;
}

/* All of a block: pages that may be anything are made zero. */
static void settle(uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		if (!(made[i] & (GUARD | FREED)))
			continue;
		(void)madvise(at(i), PAGE, MADV_GUARD_REMOVE);
		/* Locked pages are not given back. */
		victim_need(munlock(at(i), PAGE) == 0 &&
				    madvise(at(i), PAGE, MADV_DONTNEED) == 0,
			    "settle");
		made[i] = 0;
	}
}

static void by_store(uint32_t page, uint32_t how)
{
	make(at(page), page, how);
}

static void by_self(uint32_t page, uint32_t how)
{
	auto_close int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	make(spare, page, how);
	victim_need(pwrite(fd, spare, PAGE, (off_t)(uintptr_t)at(page)) ==
			    (ssize_t)PAGE,
		    "write to memory");
}

static void by_self_protected(uint32_t page, uint32_t how)
{
	victim_need(mprotect(at(page), PAGE, PROT_READ) == 0, "mprotect");
	by_self(page, how);
	victim_need(mprotect(at(page), PAGE, PROT_READ | PROT_WRITE) == 0,
		    "mprotect");
}

static void by_call(uint32_t page, uint32_t how)
{
	struct iovec from = { spare, PAGE }, to = { at(page), PAGE };

	make(spare, page, how);
	victim_need(process_vm_writev(getpid(), &from, 1, &to, 1, 0) ==
			    (ssize_t)PAGE,
		    "process_vm_writev");
}

/* Written past the cache, and read past it. */
static void by_device(uint32_t page, uint32_t how)
{
	make(direct, page, how);
	victim_need(pwrite(file, direct, PAGE, 0) == (ssize_t)PAGE &&
			    pread(file, at(page), PAGE, 0) == (ssize_t)PAGE,
		    "a file");
}

static void by_child(uint32_t page, uint32_t how)
{
	pid_t parent = getpid(), child = fork();
	int status = -1;

	victim_need(child >= 0, "fork");
	if (child == 0) {
		struct iovec from = { spare, PAGE }, to = { at(page), PAGE };
		bool good = true;

		for (uint32_t i = 0; i < PAGES && good; i += 7)
			good = is_made(at(i), i, made[i]);
		make(spare, page, how);
		make(at(page), page, 1);
		good &= process_vm_writev(parent, &from, 1, &to, 1, 0) ==
			(ssize_t)PAGE;
		_exit(good ? 0 : 1);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	victim_check(status == 0, "a child found other memory: %#x", status);
}

static void by_pipe(uint32_t page, uint32_t how)
{
	struct iovec from = { direct, PAGE };
	size_t n = 0;

	make(direct, page, how);
	victim_need(vmsplice(ends[1], &from, 1, 0) == (ssize_t)PAGE,
		    "vmsplice");
	while (n < PAGE) {
		ssize_t some = read(ends[0], at(page) + n, PAGE - n);

		victim_need(some > 0, "read");
		n += (size_t)some;
	}
}

/* Given back in a moment, if the kernel wants it; and then not. */
static void by_free(uint32_t page, uint32_t how)
{
	(void)madvise(at(page), PAGE, MADV_FREE);
	make(at(page), page, how);
}

static void by_populate(uint32_t page, uint32_t how)
{
	(void)madvise(at(page), PAGE, MADV_DONTNEED);
	(void)madvise(at(page), PAGE, MADV_POPULATE_WRITE);
	make(at(page), page, how);
}

static void (*const ways[])(uint32_t page, uint32_t how) = {
	by_store, by_self, by_self_protected, by_call,     by_device,
	by_child, by_pipe, by_free,           by_populate,
};

static void free_later(uint32_t page)
{
	if (madvise(at(page), PAGE, MADV_FREE) == 0 && made[page] &&
	    !(made[page] & (FREED | GUARD)))
		made[page] |= FREED;
}

static void guard(uint32_t page)
{
	if (madvise(at(page), PAGE, MADV_GUARD_INSTALL) == 0)
		made[page] = GUARD;
}

static void leave_behind(uint32_t page)
{
	const size_t len = BLOCK * PAGE;

	page -= page % BLOCK;
	settle(page, BLOCK);
	if (mremap(at(page), len, len,
		   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		   spare + PAGE) == MAP_FAILED)
		return;
	if (page % (2 * BLOCK)) {
		victim_need(mremap(spare + PAGE, len, len,
				   MREMAP_MAYMOVE | MREMAP_FIXED,
				   at(page)) == at(page),
			    "mremap");
		return;
	}
	for (uint32_t i = page; i < page + BLOCK; i++)
		made[i] = 0;
}

/* Beside what was moved before it becomes one mapping with that. */
static void move_over(uint32_t page)
{
	const size_t len = BLOCK * PAGE, block = page / BLOCK;
	uint8_t *from = at(page - page % BLOCK), *to;

	away[block] = !away[block];
	to = at(page - page % BLOCK);
	/* It may be more than one mapping, as a page of it is locked. */
	if (mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) {
		away[block] = !away[block];
		return;
	}
	victim_need(
		mmap(from, len, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		     -1, 0) == from,
		"mmap");
}

/* A mapping of another kind, for a moment. */
static void other_kind(uint32_t page)
{
	const int prot = PROT_READ | PROT_WRITE;
	const size_t len = BLOCK * PAGE;

	page -= page % BLOCK;
	victim_need(mmap(at(page), len, prot,
			 (page % (2 * BLOCK) ? MAP_SHARED : MAP_PRIVATE) |
				 MAP_FIXED,
			 file, 0) == at(page),
		    "mmap of a file");
	at(page)[0] = 1;
	victim_need(mmap(at(page), len, prot,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == at(page),
		    "mmap");
	for (uint32_t i = page; i < page + BLOCK; i++)
		made[i] = 0;
}

static void collapse(uint32_t page)
{
	page -= page % 512;
	settle(page, 512);
	for (uint32_t i = page; i < page + 512; i++) {
		make(at(i), i, made[i] ? made[i] : 3);
		made[i] = made[i] ? made[i] : 3;
	}
	(void)madvise(memory + page * PAGE, HUGE, MADV_COLLAPSE);
}

static void advise(uint32_t page)
{
	uint8_t *block = at(page - page % BLOCK);

	switch (page % 16) {
	case 0:
		(void)madvise(memory, PAGES * PAGE, MADV_HUGEPAGE);
		break;
	case 1:
		(void)madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
		break;
	case 2:
	case 3:
		(void)mlock(at(page), PAGE);
		break;
	case 4:
		(void)munlock(memory, PAGES * PAGE);
		break;
	case 5:
		(void)madvise(block, BLOCK * PAGE, MADV_MERGEABLE);
		break;
	case 6:
		(void)madvise(block, BLOCK * PAGE, MADV_UNMERGEABLE);
		break;
	default:
		(void)madvise(block, BLOCK * PAGE, MADV_PAGEOUT);
	}
}

/* The break: what it gives back is zero when it comes again. */
static void move_break(uint32_t page, uint32_t how)
{
	uint32_t i = page % low_pages;

	if (sbrk(0) != low + low_pages * PAGE)
		return;
	if (how % 5 == 0 && low_pages > 64) {
		low_pages -= 32;
		(void)sbrk(-(intptr_t)(32 * PAGE));
	} else if (how % 5 == 1 && low_pages + 32 < PAGES) {
		if (sbrk((intptr_t)(32 * PAGE)) == (void *)-1)
			return;
		memset(made_low + low_pages, 0, 32 * sizeof(*made_low));
		low_pages += 32;
	}
	if (i < low_pages) {
		make(low + i * PAGE, i, how);
		made_low[i] = how;
	}
}

static void change(unsigned int *seed, uint32_t how)
{
	uint32_t page = (uint32_t)rand_r(seed) % PAGES;
	unsigned int dice = (unsigned int)rand_r(seed) % 100;

	if (dice < 60) {
		settle(page, 1);
		ways[dice % ARRAY_SIZE(ways)](page, how);
		made[page] = how;
	} else if (dice < 68) {
		free_later(page);
	} else if (dice < 74) {
		guard(page);
	} else if (dice < 78) {
		leave_behind(page);
	} else if (dice < 81) {
		other_kind(page);
	} else if (dice < 82) {
		if (page < 15)
			collapse(page * 100);
	} else if (dice < 86) {
		advise(page);
	} else {
		move_break(page, how);
	}
	/* The first ones in turn, and slower than snapshots come. */
	if (how % 128 == 0)
		move_over(how / 128 % 12 * BLOCK);
	page = (uint32_t)rand_r(seed) % PAGES;
	(void)is_made(at(page), page, made[page]);
}

static void *change_all_the_time(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (uint32_t how = 1; !over; how++) {
		change(&seed, how & 0xfffff);
		victim_nap(300000);
	}
	return NULL;
}

static void begin(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *all = mmap(NULL, PAGES * PAGE + HUGE, prot, flags, -1, 0);
	const char *name = victim_path("direct");

	spare = mmap(NULL, (BLOCK + 1) * PAGE, prot, flags, -1, 0);
	direct = mmap(NULL, PAGE, prot, flags, -1, 0);
	victim_need(all != MAP_FAILED && spare != MAP_FAILED &&
			    direct != MAP_FAILED,
		    "mmap");
	other = mmap(NULL, PAGES * PAGE, PROT_NONE, flags | MAP_NORESERVE, -1,
		     0);
	victim_need(other != MAP_FAILED, "mmap");
	memory = (uint8_t *)(((uintptr_t)all + HUGE - 1) & ~(HUGE - 1));
	file = open(name, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	if (file < 0)
		file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	victim_need(file >= 0 && ftruncate(file, BLOCK * PAGE) == 0, "a file");
	victim_need(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
	low = sbrk(0);
	low += -(uintptr_t)low & (PAGE - 1);
	low_pages = 256;
	victim_need(brk(low + low_pages * PAGE) == 0, "brk");
	for (uint32_t i = 0; i < PAGES; i++) {
		make(at(i), i, 1);
		made[i] = 1;
	}
	for (uint32_t i = 0; i < low_pages; i++) {
		make(low + i * PAGE, i, 1);
		made_low[i] = 1;
	}
}

static bool check_all(void)
{
	bool good = true;

	for (uint32_t i = 0; i < PAGES && good; i++)
		good = is_made(at(i), i, made[i]);
	for (uint32_t i = 0; i < low_pages && good; i++)
		good = is_made(low + i * PAGE, i, made_low[i]);
	return good;
}

int main(int argc, char **argv)
{
	unsigned int seed = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	pthread_t thread;

	begin();
	victim_need(pthread_create(&thread, NULL, change_all_the_time,
				   (void *)(uintptr_t)seed) == 0,
		    "thread");
	victim_wait();
	over = true;
	(void)pthread_join(thread, NULL);
	victim_verdict(check_all(), "each page is as it was last made");
}
