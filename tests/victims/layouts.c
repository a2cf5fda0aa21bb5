// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * layouts [SEED]: processes of a tree that all have other memory at the same
 * addresses.  Each does things at random to a few hundred pages, forks, goes
 * on, and knows what each page is to hold.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "util/newer_mman.h"
#include "victim.h"

#define PAGES  1024u /* two huge ones' worth */
#define PEOPLE 24u
#define TURNS  40u
#define ALL    (PROT_READ | PROT_WRITE)

enum kind { NONE, ANON, OVER_FILE };

/* What a page is to be. */
struct page {
	enum kind kind;
	uint32_t seed; /* 0: zeroes, or what the file has */
	bool written;  /* else: as the file is */
	bool guard, wiped, lost;
	uint32_t file_page;
	int prot;
};

static struct all {
	volatile uint32_t count, set_up, ended;
	volatile int wrong[PEOPLE];
} * all;

static struct page pages[PAGES];
static char *arena;
static int file_fd;
static unsigned int dice;
static uint32_t me;
static pid_t children[PEOPLE];
static unsigned int nchildren;

static unsigned int roll(unsigned int sides)
{
	return (unsigned int)rand_r(&dice) % sides;
}

static char *at(unsigned int page)
{
	return arena + page * PAGE;
}

/* A range of at most max pages, of which all are of one of the kinds. */
static bool choose(unsigned int max, unsigned int kinds, unsigned int *first,
		   unsigned int *count)
{
	*first = roll(PAGES);
	*count = 1 + roll(max);
	if (*first + *count > PAGES)
		*count = PAGES - *first;
	for (unsigned int i = *first; i < *first + *count; i++)
		if (!(kinds & 1u << pages[i].kind))
			*count = i - *first;
	return *count > 0;
}

static void write_pages(bool zero)
{
	unsigned int first, n, step = 1 + roll(3);

	if (!choose(200, 1u << ANON | 1u << OVER_FILE, &first, &n))
		return;
	for (unsigned int i = first; i < first + n; i += step) {
		struct page *p = &pages[i];

		if (p->guard || p->prot != ALL)
			continue;
		p->written = true;
		p->seed = zero ? 0 : 1 + (me << 20 | roll(1u << 20));
		if (zero)
			memset(at(i), 0, PAGE);
		else
			pattern_fill(at(i), PAGE, p->seed);
	}
}

static void forget_pages(unsigned int first, unsigned int n)
{
	victim_need(munmap(at(first), n * PAGE) == 0, "munmap");
	memset(&pages[first], 0, n * sizeof(*pages));
}

static void drop_pages(void)
{
	unsigned int first, n;

	if (!choose(60, 1u << ANON | 1u << OVER_FILE, &first, &n))
		return;
	if (madvise(at(first), n * PAGE, MADV_DONTNEED) < 0) {
		forget_pages(first, n); /* of which some are locked */
		return;
	}
	for (unsigned int i = first; i < first + n; i++) {
		pages[i].written = false;
		pages[i].seed = 0;
	}
}

static void unmap_pages(void)
{
	unsigned int first, n;

	if (!choose(100, 1u << ANON | 1u << OVER_FILE, &first, &n))
		return;
	forget_pages(first, n);
}

static void map_pages(enum kind kind)
{
	unsigned int first, n, file_page = roll(PAGES);
	int flags = MAP_PRIVATE | MAP_FIXED, fd = -1;

	if (!choose(200, ~0u, &first, &n))
		return;
	if (file_page + n > PAGES)
		file_page = PAGES - n;
	if (kind == OVER_FILE)
		fd = file_fd;
	else
		flags |= MAP_ANONYMOUS;
	if (roll(3) == 0)
		flags |= MAP_NORESERVE;
	victim_need(mmap(at(first), n * PAGE, ALL, flags, fd,
			 fd < 0 ? 0 : file_page * PAGE) == at(first),
		    "mmap");
	for (unsigned int i = first; i < first + n; i++)
		pages[i] = (struct page){ .kind = kind,
					  .prot = ALL,
					  .file_page = file_page + i - first };
}

static void protect_pages(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ, ALL, ALL };
	unsigned int first, n;
	int prot = prots[roll(4)];

	if (!choose(100, 1u << ANON | 1u << OVER_FILE, &first, &n))
		return;
	victim_need(mprotect(at(first), n * PAGE, prot) == 0, "mprotect");
	for (unsigned int i = first; i < first + n; i++)
		pages[i].prot = prot;
}

/* Where it fails, some may have been moved. */
static void move_pages(void)
{
	unsigned int first, n, to = roll(PAGES);
	struct page moved[PAGES];

	if (!choose(80, 1u << ANON | 1u << OVER_FILE, &first, &n) ||
	    to + n > PAGES || (to < first + n && first < to + n))
		return;
	if (mremap(at(first), n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   at(to)) == MAP_FAILED) {
		forget_pages(first, n);
		forget_pages(to, n);
		return;
	}
	memcpy(moved, &pages[first], n * sizeof(*pages));
	memset(&pages[first], 0, n * sizeof(*pages));
	memcpy(&pages[to], moved, n * sizeof(*pages));
}

static void advise_pages(void)
{
	static const int advices[] = {
		MADV_HUGEPAGE,   MADV_NOHUGEPAGE, MADV_WIPEONFORK,
		MADV_KEEPONFORK, MADV_DONTFORK,   MADV_DOFORK,
		MADV_MERGEABLE,  MADV_DONTDUMP,   MADV_GUARD_INSTALL,
		MADV_HUGEPAGE,   MADV_COLLAPSE,
	};
	unsigned int first, n;
	int advice = advices[roll(sizeof(advices) / sizeof(*advices))];

	if (!choose(advice == MADV_GUARD_INSTALL ? 9 : 600, 1u << ANON, &first,
		    &n))
		return;
	if (madvise(at(first), n * PAGE, advice) < 0) {
		if (advice != MADV_COLLAPSE)
			forget_pages(first, n);
		return;
	}
	for (unsigned int i = first; i < first + n; i++) {
		struct page *p = &pages[i];

		if (advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK)
			p->wiped = advice == MADV_WIPEONFORK;
		if (advice == MADV_DONTFORK || advice == MADV_DOFORK)
			p->lost = advice == MADV_DONTFORK;
		if (advice == MADV_GUARD_INSTALL) {
			p->guard = true;
			p->written = false;
			p->seed = 0;
		}
	}
}

static void lock_pages(void)
{
	unsigned int first, n;

	if (choose(16, 1u << ANON, &first, &n))
		(void)mlock2(at(first), n * PAGE, MLOCK_ONFAULT);
}

static void be_born(void)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		struct page *p = &pages[i];

		if (p->lost)
			*p = (struct page){ 0 };
		if (p->wiped) {
			p->written = p->guard = false;
			p->seed = 0;
		}
	}
}

static void live(unsigned int turns);

static void grow(void)
{
	uint32_t number = __sync_fetch_and_add(&all->count, 1);
	unsigned int left = roll(TURNS);
	bool orphan = roll(4) == 0, session = roll(4) == 0;
	pid_t pid;

	if (number >= PEOPLE) {
		__sync_fetch_and_sub(&all->count, 1);
		return;
	}
	pid = fork();
	victim_need(pid >= 0, "fork");
	if (pid) {
		if (orphan)
			waitpid(pid, NULL, 0);
		else
			children[nchildren++] = pid;
		return;
	}
	be_born();
	if (orphan && fork())
		_exit(0);
	if (orphan)
		be_born();
	me = number;
	nchildren = 0;
	dice += 7919 * me;
	if (session)
		setsid();
	live(left);
}

static void one_thing(void)
{
	switch (roll(14)) {
	case 0:
	case 1:
	case 2:
	case 3:
		write_pages(false);
		break;
	case 4:
		write_pages(true);
		break;
	case 5:
		drop_pages();
		break;
	case 6:
		unmap_pages();
		break;
	case 7:
		map_pages(ANON);
		break;
	case 8:
		map_pages(OVER_FILE);
		break;
	case 9:
		protect_pages();
		break;
	case 10:
		move_pages();
		break;
	case 11:
		advise_pages();
		break;
	case 12:
		lock_pages();
		break;
	case 13:
		grow();
		break;
	}
}

static bool page_holds(unsigned int i)
{
	const struct page *p = &pages[i];

	if (p->kind == NONE || p->guard)
		return true;
	if (p->prot == PROT_NONE && mprotect(at(i), PAGE, PROT_READ) < 0)
		return false;
	if (p->kind == OVER_FILE && !p->written)
		return pattern_holds(at(i), PAGE, 500000000 + p->file_page);
	return p->seed ? pattern_holds(at(i), PAGE, p->seed)
		       : all_zero(at(i), PAGE);
}

static void look(void)
{
	unsigned int bad = 0, first = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		if (!page_holds(i) && bad++ == 0)
			first = i;
	if (!victim_check(!bad, "process %u: %u pages differ, first %u (%d)",
			  me, bad, first, (int)pages[first].kind))
		all->wrong[me] = 1;
}

static void live(unsigned int turns)
{
	while (turns--)
		one_thing();
	__sync_fetch_and_add(&all->set_up, 1);
	if (!me)
		return;
	victim_wait_go();
	look();
	for (unsigned int i = 0; i < nchildren; i++)
		waitpid(children[i], NULL, 0);
	__sync_fetch_and_add(&all->ended, 1);
	_exit(0);
}

int main(int argc, char **argv)
{
	char page[PAGE];

	dice = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	all = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	file_fd = open(victim_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	arena = mmap((void *)0x10000000000, PAGES * PAGE, ALL,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	victim_need(all != MAP_FAILED && file_fd >= 0 && arena != MAP_FAILED,
		    "memory");
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = (struct page){ .kind = ANON, .prot = ALL };
		pattern_fill(page, PAGE, 500000000 + i);
		victim_need(write(file_fd, page, PAGE) == PAGE, "file");
	}
	all->count = 1;
	live(4 * TURNS);
	while (all->count < 3)
		grow();
	victim_need(victim_until(all->set_up == all->count), "set up");

	victim_wait();

	look();
	victim_check(victim_until(all->ended + 1 == all->count),
		     "%u of %u have ended", all->ended, all->count);
	for (unsigned int i = 0; i < PEOPLE; i++)
		victim_check(!all->wrong[i], "process %u", i);
	victim_verdict(true, "memory of %u processes is as it was", all->count);
}
