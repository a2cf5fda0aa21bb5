/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mlockall for memory to come, which nothing shows but such memory: of all
 * that is there too, of none of it, on fault; and not at all.  Each also in a
 * process that has no room for a page more.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

static const struct kind {
	const char *name;
	int flags;
} kinds[] = {
	{ "nothing", 0 },
	{ "all there is", MCL_CURRENT },
	{ "what comes", MCL_FUTURE },
	{ "what comes, on fault", MCL_FUTURE | MCL_ONFAULT },
	{ "all", MCL_CURRENT | MCL_FUTURE },
	{ "all, on fault", MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

/* Is a page that is mapped now locked, and is it there? */
static void check_new_page(const struct kind *kind)
{
	bool locked = (kind->flags & MCL_FUTURE) != 0;
	bool present = locked && !(kind->flags & MCL_ONFAULT);
	unsigned char there = 0;
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	victim_check(p != MAP_FAILED && mincore(p, PAGE, &there) == 0,
		     "%s: no new page", kind->name);
	victim_check((there & 1) == present, "%s: a new page is %sthere",
		     kind->name, there & 1 ? "" : "not ");
	/* Locked memory cannot be dropped. */
	victim_check((madvise(p, PAGE, MADV_DONTNEED) < 0) == locked,
		     "%s: a new page is %slocked", kind->name,
		     locked ? "not " : "");
	victim_check(munmap(p, PAGE) == 0, "%s: munmap", kind->name);
}

static const int limits[] = { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK };
#define LIMITS (sizeof(limits) / sizeof(*limits))

static void lower(struct rlimit before[LIMITS])
{
	for (size_t i = 0; i < LIMITS; i++) {
		struct rlimit none = { 0 };

		getrlimit((enum __rlimit_resource)limits[i], &before[i]);
		none.rlim_max = before[i].rlim_max;
		setrlimit((enum __rlimit_resource)limits[i], &none);
	}
}

static void raise_again(const struct rlimit before[LIMITS])
{
	for (size_t i = 0; i < LIMITS; i++) {
		struct rlimit now;

		getrlimit((enum __rlimit_resource)limits[i], &now);
		victim_check(now.rlim_cur == 0 &&
				     now.rlim_max == before[i].rlim_max,
			     "limit %d is %lu", limits[i],
			     (unsigned long)now.rlim_cur);
		setrlimit((enum __rlimit_resource)limits[i], &before[i]);
	}
}

static void child(const struct kind *kind, bool narrow, int ready)
{
	struct rlimit before[LIMITS];

	victim_need(kind->flags == 0 || mlockall(kind->flags) == 0, kind->name);
	mappings_note();
	check_new_page(kind);
	if (narrow)
		lower(before);
	victim_need(write(ready, "r", 1) == 1, "pipe");
	close(ready);
	victim_wait_go();
	if (narrow)
		raise_again(before);
	mappings_compare();
	check_new_page(kind);
	_exit(0);
}

int main(void)
{
	struct rlimit limit = { 0 };
	int pipes[2], status;
	char c;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (geteuid() && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < 8ul << 20)
		victim_skip("ulimit -l is %lu KiB",
			    (unsigned long)limit.rlim_cur >> 10);
	victim_need(pipe(pipes) == 0, "pipe");
	for (size_t i = 0; i < 2 * KINDS; i++) {
		if (fork() == 0)
			child(&kinds[i / 2], i % 2, pipes[1]);
		victim_need(read(pipes[0], &c, 1) == 1, kinds[i / 2].name);
	}
	close(pipes[0]);
	close(pipes[1]);
	victim_wait();
	for (size_t i = 0; i < 2 * KINDS; i++)
		victim_check(wait(&status) > 0 && status == 0,
			     "a child failed: %#x", (unsigned int)status);
	victim_verdict(true, "what is locked, and will be, is as it was");
}
