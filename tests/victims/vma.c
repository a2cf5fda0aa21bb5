/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private memory of every kind: contents, rights, advice, locks, names. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mapping.h"
#include "util/newer_mman.h"
#include "victim.h"

static char *map(size_t pages, int prot, int flags)
{
	char *p = mmap(NULL, pages * PAGE, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	victim_need(p != MAP_FAILED, "mmap");
	return p;
}

static struct {
	char *sparse, *read_only, *hidden, *code, *reserve, *wide, *huge,
		*locked, *onfault, *down, *guarded, *advised[6], *droppable,
		*file, *zero, *sealed, *sealed_file;
	bool guards, named, seals;
} m;

static size_t reserve_bytes = 1ul << 40;

static const int advice[6] = {
	MADV_SEQUENTIAL, MADV_RANDOM,     MADV_DONTFORK,
	MADV_DONTDUMP,   MADV_WIPEONFORK, MADV_MERGEABLE
};

/* Every third page of 3000, the rest never touched; zeroes among them. */
static void set_sparse(void)
{
	m.sparse = map(3000, PROT_READ | PROT_WRITE, 0);
	for (size_t i = 0; i < 3000; i += 3)
		pattern_fill(m.sparse + i * PAGE, PAGE, i);
	memset(m.sparse + PAGE, 0, PAGE);
}

static void check_sparse(void)
{
	bool good = true;

	for (size_t i = 0; i < 3000; i++)
		good &= i % 3 ? all_zero(m.sparse + i * PAGE, PAGE)
			      : pattern_holds(m.sparse + i * PAGE, PAGE, i);
	victim_check(good, "scattered pages differ");
}

static void set_rights(void)
{
	m.read_only = map(10, PROT_READ | PROT_WRITE, 0);
	pattern_fill(m.read_only, 10 * PAGE, 1);
	mprotect(m.read_only + PAGE, 3 * PAGE, PROT_READ);
	mprotect(m.read_only + 5 * PAGE, PAGE, PROT_WRITE);
	m.hidden = map(8, PROT_READ | PROT_WRITE, 0);
	pattern_fill(m.hidden, 8 * PAGE, 2);
	mprotect(m.hidden, 8 * PAGE, PROT_NONE);
	m.code = map(1, PROT_READ | PROT_WRITE, 0);
	memcpy(m.code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* return 42 */
	mprotect(m.code, PAGE, PROT_READ | PROT_EXEC);
	/* Older ones would have to look for pages one by one. */
	if (!victim_kernel(6, 7))
		reserve_bytes = 1ul << 31;
	/* A TiB that never was writable; its last page is. */
	m.reserve = map(reserve_bytes / PAGE, PROT_NONE, MAP_NORESERVE);
	mprotect(m.reserve + reserve_bytes - PAGE, PAGE,
		 PROT_READ | PROT_WRITE);
	pattern_fill(m.reserve + reserve_bytes - PAGE, PAGE, 3);
	/* Another that is writable all over. */
	m.wide = map(reserve_bytes / PAGE, PROT_READ | PROT_WRITE,
		     MAP_NORESERVE);
	pattern_fill(m.wide, PAGE, 12);
	pattern_fill(m.wide + reserve_bytes / 2, PAGE, 13);
	pattern_fill(m.wide + reserve_bytes - PAGE, PAGE, 14);
}

static void check_rights(void)
{
	int (*code)(void) = (int (*)(void))(uintptr_t)m.code;

	victim_check(pattern_holds(m.read_only, 5 * PAGE, 1),
		     "memory made read-only differs");
	mprotect(m.read_only + 5 * PAGE, PAGE, PROT_READ);
	victim_check(pattern_holds(m.read_only, 10 * PAGE, 1),
		     "memory made write-only differs");
	mprotect(m.hidden, 8 * PAGE, PROT_READ);
	victim_check(pattern_holds(m.hidden, 8 * PAGE, 2),
		     "memory behind PROT_NONE differs");
	victim_check(code() == 42, "code in anonymous memory does not run");
	victim_check(pattern_holds(m.reserve + reserve_bytes - PAGE, PAGE, 3),
		     "a page in a large reservation differs");
	victim_check(
		pattern_holds(m.wide, PAGE, 12) &&
			pattern_holds(m.wide + reserve_bytes / 2, PAGE, 13) &&
			pattern_holds(m.wide + reserve_bytes - PAGE, PAGE, 14),
		"pages of a sparse TiB differ");
}

static void set_kinds(void)
{
	m.huge = map(1024, PROT_READ | PROT_WRITE, 0);
	madvise(m.huge, 1024 * PAGE, MADV_HUGEPAGE);
	pattern_fill(m.huge, 1024 * PAGE, 4);
	m.locked = map(4, PROT_READ | PROT_WRITE, 0);
	victim_need(mlock(m.locked, 4 * PAGE) == 0, "mlock");
	pattern_fill(m.locked, 4 * PAGE, 5);
	m.onfault = map(4, PROT_READ | PROT_WRITE, 0);
	victim_need(mlock2(m.onfault, 4 * PAGE, MLOCK_ONFAULT) == 0, "mlock2");
	/* Where nothing comes near its guard gap. */
	m.down = mmap(
		(void *)0x620000000000ul, 8 * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	victim_need(m.down != MAP_FAILED, "MAP_GROWSDOWN");
	pattern_fill(m.down, 8 * PAGE, 6);
	for (int i = 0; i < 6; i++) {
		m.advised[i] = map(3, PROT_READ | PROT_WRITE, 0);
		(void)madvise(m.advised[i] + PAGE, PAGE, advice[i]);
		pattern_fill(m.advised[i], 3 * PAGE, 20 + (uint64_t)i);
	}
	m.named = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m.huge, 512 * PAGE,
			"a name: with [signs]") == 0 ||
		  errno == EINVAL;
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m.locked, PAGE, "arena"))
		m.named = false;
	m.droppable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (m.droppable != MAP_FAILED)
		memset(m.droppable, 1, PAGE);
}

static void check_kinds(void)
{
	victim_check(pattern_holds(m.huge, 1024 * PAGE, 4),
		     "memory for huge pages differs");
	victim_check(pattern_holds(m.locked, 4 * PAGE, 5),
		     "locked memory differs");
	victim_check(all_zero(m.onfault, 4 * PAGE),
		     "memory locked on fault differs");
	victim_check(pattern_holds(m.down, 8 * PAGE, 6),
		     "a growing mapping differs");
	m.down[-1] = 1; /* grows by a page */
	for (int i = 0; i < 6; i++)
		victim_check(
			pattern_holds(m.advised[i], 3 * PAGE, 20 + (uint64_t)i),
			"advised memory %d differs", i);
}

static void set_guards(void)
{
	m.guarded = map(16, PROT_READ | PROT_WRITE, 0);
	pattern_fill(m.guarded, 16 * PAGE, 7);
	m.guards = madvise(m.guarded + 3 * PAGE, 2 * PAGE,
			   MADV_GUARD_INSTALL) == 0;
}

static sigjmp_buf jump;

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(jump, 1);
}

static bool faults(volatile char *at)
{
	struct sigaction act = { .sa_handler = on_fault };

	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	if (sigsetjmp(jump, 1))
		return true;
	(void)*at;
	return false;
}

static void check_guards(void)
{
	victim_check(pattern_holds(m.guarded, 3 * PAGE, 7),
		     "memory before a guard differs");
	if (!m.guards)
		return;
	victim_check(faults(m.guarded + 3 * PAGE) &&
			     faults(m.guarded + 5 * PAGE - 1),
		     "a guard region can be read");
	victim_check(!faults(m.guarded + 5 * PAGE),
		     "a guard region is too large");
}

/*
 * Sealed against any change, with an unsealed page in the middle; a sealed
 * mapping of a file that has lost its end, locked as well.
 */
static void set_sealed(void)
{
	int fd =
		open(victim_path("sealed"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	m.sealed = map(9, PROT_READ | PROT_WRITE, 0);
	pattern_fill(m.sealed, 9 * PAGE, 15);
	mprotect(m.sealed + 6 * PAGE, 3 * PAGE, PROT_READ);
	victim_need(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0, "file");
	m.sealed_file =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	victim_need(m.sealed_file != MAP_FAILED, "mmap of a file");
	pattern_fill(m.sealed_file, PAGE, 16);
	victim_need(ftruncate(fd, PAGE) == 0, "truncate");
	close(fd);
	/* Brings in what there is, and fails for the rest. */
	(void)mlock(m.sealed_file, 4 * PAGE);
	m.seals = syscall(__NR_mseal, m.sealed, 4 * PAGE, 0) == 0 &&
		  syscall(__NR_mseal, m.sealed + 5 * PAGE, 4 * PAGE, 0) == 0 &&
		  syscall(__NR_mseal, m.sealed_file, 4 * PAGE, 0) == 0;
	victim_need(m.seals || errno == ENOSYS, "mseal");
}

static bool faults(volatile char *at);

static void check_sealed(void)
{
	victim_check(pattern_holds(m.sealed, 9 * PAGE, 15),
		     "sealed memory differs");
	victim_check(pattern_holds(m.sealed_file, PAGE, 16) &&
			     faults(m.sealed_file + PAGE),
		     "a mapping of a file that lost its end differs");
	victim_check(
		(munmap(m.sealed, PAGE) < 0) == m.seals &&
			(mprotect(m.sealed + 8 * PAGE, PAGE, PROT_NONE) < 0) ==
				m.seals &&
			(munmap(m.sealed_file + 3 * PAGE, PAGE) < 0) == m.seals,
		"sealed memory can be changed");
	victim_check(munmap(m.sealed + 4 * PAGE, PAGE) == 0,
		     "memory between sealed memory is sealed");
}

/* A private mapping of a file: changed pages are ours, others the file's. */
static void set_file(void)
{
	static char data[6 * PAGE];
	int fd = open(victim_path("data"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	pattern_fill(data, sizeof(data), 8);
	victim_need(fd >= 0 && write(fd, data, sizeof(data)) ==
				       (ssize_t)sizeof(data),
		    "file");
	m.file = mmap(NULL, sizeof(data), PROT_READ | PROT_WRITE, MAP_PRIVATE,
		      fd, 0);
	victim_need(m.file != MAP_FAILED, "mmap of a file");
	close(fd);
	pattern_fill(m.file + PAGE, PAGE, 9);
	memset(m.file + 3 * PAGE, 0, PAGE);
	mprotect(m.file + 3 * PAGE, 3 * PAGE, PROT_READ);
}

/* The old way to get memory. */
static void set_zero(void)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	m.zero = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		      0);
	victim_need(fd >= 0 && m.zero != MAP_FAILED, "/dev/zero");
	close(fd);
	pattern_fill(m.zero + PAGE, PAGE, 11);
}

static void check_zero(void)
{
	victim_check(pattern_holds(m.zero + PAGE, PAGE, 11) &&
			     all_zero(m.zero, PAGE) &&
			     all_zero(m.zero + 2 * PAGE, 2 * PAGE),
		     "memory from /dev/zero differs");
}

static void check_file(void)
{
	static char data[PAGE];

	pattern_fill(data, PAGE, 9);
	victim_check(memcmp(m.file + PAGE, data, PAGE) == 0,
		     "a changed page of a private file mapping is lost");
	victim_check(all_zero(m.file + 3 * PAGE, PAGE),
		     "a page of a file made zero has the file's data again");
	victim_check(pattern_holds(m.file, PAGE, 8) &&
			     ((uint64_t *)m.file)[2 * PAGE / 8] ==
				     ((uint64_t *)m.file)[0] + 2 * PAGE / 8,
		     "unchanged pages of a file mapping differ");
}

int main(void)
{
	char *brk_before;

	set_sparse();
	set_rights();
	set_kinds();
	set_guards();
	set_file();
	set_zero();
	set_sealed();
	brk_before = sbrk(3 * PAGE);
	pattern_fill(brk_before + PAGE, PAGE, 10);
	mappings_note();

	victim_wait();

	mappings_compare();
	check_sparse();
	check_rights();
	check_kinds();
	check_guards();
	check_file();
	check_zero();
	check_sealed();
	victim_check(sbrk(0) == brk_before + 3 * PAGE, "the break has moved");
	victim_check((char *)sbrk(PAGE) == brk_before + 3 * PAGE,
		     "the heap cannot grow");
	victim_check(pattern_holds(brk_before + PAGE, PAGE, 10),
		     "the heap differs");
	victim_check(m.droppable == MAP_FAILED || all_zero(m.droppable, PAGE) ||
			     m.droppable[0] == 1,
		     "droppable memory is neither kept nor empty");
	victim_verdict(true, "private memory is as it was");
}
