/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared anonymous memory: of one process, and of a family. */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define PAGES 600

struct shared {
	atomic_int turn; /* whose turn it is to write */
	atomic_int seen;
};

/* Parent and child must still share it, at other addresses too. */
static int child(struct shared *s, char *data)
{
	char *moved =
		mremap(data, PAGES * PAGE, PAGES * PAGE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x600000000000ul);
	bool good;

	atomic_store(&s->turn, 1);
	victim_wait_go();
	good = moved != MAP_FAILED && pattern_holds(moved, 100 * PAGE, 1) &&
	       all_zero(moved + 100 * PAGE, 400 * PAGE) &&
	       pattern_holds(moved + 500 * PAGE, 100 * PAGE, 2);
	victim_check(good, "memory shared with the parent differs");
	atomic_store(&s->seen, 1);
	if (!victim_until(atomic_load(&s->turn) == 2))
		return 1;
	good &= pattern_holds(moved + 200 * PAGE, PAGE, 77);
	pattern_fill(moved + 300 * PAGE, PAGE, 78);
	atomic_store(&s->turn, 3);
	return !good;
}

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	const int flags = MAP_SHARED | MAP_ANONYMOUS;
	struct shared *s = mmap(NULL, PAGE, rw, flags, -1, 0);
	char *data = mmap(NULL, PAGES * PAGE, rw, flags, -1, 0);
	char *part = mmap(NULL, 64 * PAGE, rw, flags, -1, 0);
	char *sparse = mmap(NULL, 16ul << 30, rw, flags | MAP_NORESERVE, -1, 0);
	int status = -1;
	pid_t pid;

	victim_need(s != MAP_FAILED && data != MAP_FAILED &&
			    part != MAP_FAILED && sparse != MAP_FAILED,
		    "mmap");
	pattern_fill(data, 100 * PAGE, 1);
	pattern_fill(data + 500 * PAGE, 100 * PAGE, 2);
	/* Pages that are mapped no more live on in the object. */
	pattern_fill(part, 64 * PAGE, 3);
	munmap(part, 32 * PAGE);
	mprotect(part + 40 * PAGE, 8 * PAGE, PROT_READ);
	mprotect(part + 48 * PAGE, 8 * PAGE, PROT_NONE);
	pattern_fill(sparse + (9ul << 30), PAGE, 4);
	pid = fork();
	if (pid == 0)
		_exit(child(s, data));
	victim_need(pid > 0 && victim_until(atomic_load(&s->turn) == 1),
		    "child");
	mappings_note();

	victim_wait();

	mappings_compare();
	victim_check(pattern_holds(data, 100 * PAGE, 1) &&
			     all_zero(data + 100 * PAGE, 400 * PAGE) &&
			     pattern_holds(data + 500 * PAGE, 100 * PAGE, 2),
		     "shared memory differs");
	mprotect(part + 48 * PAGE, 8 * PAGE, PROT_READ);
	victim_check(((uint64_t *)(part + 32 * PAGE))[0] ==
			     4 * 0x9e3779b97f4a7c15ull + 32 * PAGE / 8,
		     "memory mapped in part differs");
	/* Growing the mapping shows the pages that were not mapped. */
	victim_check(pattern_holds(sparse + (9ul << 30), PAGE, 4) &&
			     all_zero(sparse, PAGE),
		     "a page of a large sparse mapping differs");
	victim_check(victim_until(atomic_load(&s->seen)),
		     "the child does not see what the parent sees");
	pattern_fill(data + 200 * PAGE, PAGE, 77);
	atomic_store(&s->turn, 2);
	victim_check(victim_until(atomic_load(&s->turn) == 3) &&
			     pattern_holds(data + 300 * PAGE, PAGE, 78),
		     "parent and child no longer share memory");
	waitpid(pid, &status, 0);
	victim_verdict(status == 0, "shared memory is shared as it was");
}
