/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that changes all the time, in every way that tells a later snapshot
 * something else than "a page was written": given back, moved away and home,
 * mapped anew, protected, written by the kernel.  A parent and its child have
 * pages in common at first; another child executes the program again and
 * again.  Whoever looks finds each page as it was last made.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define PAGE  4096ul
#define PAGES 1024u
#define BLOCK 16u
#define QUIET 4096u /* pages that are written once */

static uint8_t *memory, *quiet, *spare;
static uint32_t made[PAGES]; /* how a page was made; 0: it is zero */
static volatile bool over;
static int ends[2];

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

	for (size_t i = 0; i < PAGE / 8; i++)
		if (w[i] != word(page, how, i))
			return victim_check(false,
					    "page %u: word %zu is %#llx, it "
					    "was made %u",
					    page, i, (unsigned long long)w[i],
					    how);
	return true;
}

static uint8_t *at(uint32_t page)
{
	return memory + page * PAGE;
}

static void forget(uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		made[i] = 0;
}

static void move_and_back(uint32_t page)
{
	const size_t len = BLOCK * PAGE;

	page -= page % BLOCK;
	victim_need(mremap(at(page), len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			   spare) == spare &&
			    mremap(spare, len, len,
				   MREMAP_MAYMOVE | MREMAP_FIXED,
				   at(page)) == at(page),
		    "mremap");
}

static void map_anew(uint32_t page)
{
	page -= page % BLOCK;
	victim_need(mmap(at(page), BLOCK * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == at(page),
		    "mmap");
	forget(page, BLOCK);
}

/* The kernel copies it there. */
static void make_by_read(uint32_t page, uint32_t how)
{
	uint8_t copy[PAGE] __attribute__((aligned(8)));
	size_t n = 0;

	make(copy, page, how);
	victim_need(write(ends[1], copy, PAGE) == (ssize_t)PAGE, "write");
	while (n < PAGE) {
		ssize_t some = read(ends[0], at(page) + n, PAGE - n);

		victim_need(some > 0, "read");
		n += (size_t)some;
	}
	made[page] = how;
}

static void protect(uint32_t page)
{
	victim_need(mprotect(at(page), PAGE, PROT_NONE) == 0 &&
			    mprotect(at(page), PAGE, PROT_READ | PROT_WRITE) ==
				    0,
		    "mprotect");
}

static void change(unsigned int *seed, uint32_t how)
{
	uint32_t page = (uint32_t)rand_r(seed) % PAGES;
	unsigned int dice = (unsigned int)rand_r(seed) % 100;

	if (dice < 60) {
		make(at(page), page, how);
		made[page] = how;
	} else if (dice < 70) {
		victim_need(madvise(at(page), PAGE, MADV_DONTNEED) == 0,
			    "madvise");
		made[page] = 0;
	} else if (dice < 75) {
		move_and_back(page);
	} else if (dice < 80) {
		map_anew(page);
	} else if (dice < 90) {
		make_by_read(page, how);
	} else {
		protect(page);
	}
	page = (uint32_t)rand_r(seed) % PAGES;
	(void)is_made(at(page), page, made[page]);
}

static void *change_all_the_time(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (uint32_t how = 1; !over; how++) {
		change(&seed, how);
		if (how % 16 == 0)
			victim_nap(200000);
	}
	return NULL;
}

static void begin(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	memory = mmap(NULL, PAGES * PAGE, prot, flags, -1, 0);
	quiet = mmap(NULL, QUIET * PAGE, prot, flags, -1, 0);
	spare = mmap(NULL, BLOCK * PAGE, prot, flags, -1, 0);
	victim_need(memory != MAP_FAILED && quiet != MAP_FAILED &&
			    spare != MAP_FAILED,
		    "mmap");
	(void)madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
	(void)madvise(quiet, QUIET * PAGE, MADV_NOHUGEPAGE);
	for (uint32_t i = 0; i < PAGES; i++) {
		make(at(i), i, 1);
		made[i] = 1;
	}
	for (uint32_t i = 0; i < QUIET; i++)
		make(quiet + i * PAGE, i, 7);
}

static bool check_all(void)
{
	bool good = true;

	for (uint32_t i = 0; i < PAGES && good; i++)
		good = is_made(at(i), i, made[i]);
	for (uint32_t i = 0; i < QUIET && good; i++)
		good = is_made(quiet + i * PAGE, i, 7);
	return good;
}

/* Until the end; then tell whether all is as it should be. */
static bool live(unsigned int seed, void (*wait)(void))
{
	pthread_t thread;

	victim_need(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
	victim_need(pthread_create(&thread, NULL, change_all_the_time,
				   (void *)(uintptr_t)seed) == 0,
		    "thread");
	wait();
	over = true;
	(void)pthread_join(thread, NULL);
	return check_all();
}

/* A program whose memory is another one at each look. */
static void execute_again(char **argv)
{
	static const char *const go = "go";
	char *const next[] = { argv[0], (char *)"again", NULL };

	if (access(victim_path(go), F_OK) == 0)
		_exit(0);
	begin();
	victim_nap(20000000);
	if (!check_all())
		_exit(1);
	execv(argv[0], next);
	_exit(1);
}

int main(int argc, char **argv)
{
	int status = -1;
	pid_t child, other;
	bool good;

	if (argc > 1)
		execute_again(argv);
	begin();
	other = fork();
	if (other == 0)
		execute_again(argv);
	child = fork();
	if (child == 0)
		_exit(live(2, victim_wait_go) ? 0 : 1);
	victim_need(child > 0 && other > 0, "fork");
	good = live(1, victim_wait);
	good &= waitpid(child, &status, 0) == child && status == 0;
	good &= waitpid(other, &status, 0) == other && status == 0;
	victim_verdict(good, "each page is as it was last made");
}
