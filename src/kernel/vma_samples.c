/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/userfault.h"
#include "kernel/vma_samples.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/written.h"
#include "util/cleanup.h"
#include "util/newer_mman.h"

#define PAGE      4096ul
#define SLOTS     64u /* every other one stays empty: nothing is merged */
#define HUGE_SIZE (2ul << 20)
#define PREFERRED 1 /* MPOL_PREFERRED; of no node: the one that runs it */

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE    (MAP_PRIVATE | MAP_ANONYMOUS)

static const struct {
	int prot, flags;
} kinds[] = {
	{ PROT_READ, PRIVATE },
	{ PROT_NONE, PRIVATE },
	{ PROT_READ | PROT_EXEC, PRIVATE },
	{ READ_WRITE | PROT_EXEC, PRIVATE },
	{ READ_WRITE, PRIVATE | MAP_NORESERVE },
	{ READ_WRITE, PRIVATE | MAP_GROWSDOWN },
	{ READ_WRITE, MAP_ANONYMOUS | MAP_SHARED },
	{ PROT_NONE, MAP_ANONYMOUS | MAP_SHARED },
	{ READ_WRITE, MAP_ANONYMOUS | MAP_DROPPABLE },
};

static const int advice[] = {
	MADV_SEQUENTIAL, MADV_RANDOM,     MADV_DONTFORK,
	MADV_DONTDUMP,   MADV_WIPEONFORK, MADV_HUGEPAGE,
	MADV_NOHUGEPAGE, MADV_MERGEABLE,  MADV_GUARD_INSTALL,
};

/*
 * It can never be unmapped: it stays for as long as we do, one page without
 * access.
 */
static void make_sealed(void)
{
	void *p = mmap(NULL, PAGE, PROT_NONE, PRIVATE, -1, 0);

	if (p != MAP_FAILED && syscall(__NR_mseal, p, PAGE, 0) < 0)
		(void)munmap(p, PAGE);
}

/* In the next slot; NULL: this kernel has none of the kind. */
static uint8_t *make(struct vma_samples *s, int prot, int flags, int fd)
{
	uint8_t *at = s->slots + (2 * s->used + 1) * PAGE;
	void *p;

	if (s->used == SLOTS)
		return NULL;
	p = mmap(at, PAGE, prot, flags | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	s->used++;
	return p;
}

static uint8_t *make_plain(struct vma_samples *s)
{
	return make(s, READ_WRITE, PRIVATE, -1);
}

/* What cannot be had is none of what is learned. */
static void make_locked(struct vma_samples *s)
{
	uint8_t *now = make_plain(s), *later = make_plain(s);

	if (now)
		(void)mlock(now, PAGE);
	if (later)
		(void)mlock2(later, PAGE, MLOCK_ONFAULT);
}

static void make_of_file(struct vma_samples *s)
{
	auto_close int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)make(s, PROT_READ, MAP_SHARED, fd);
	(void)make(s, READ_WRITE, MAP_PRIVATE, fd);
}

static void make_watched(struct vma_samples *s)
{
	uint8_t *p = make_plain(s);
	struct err ignored = { 0 };

	s->uffd = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
	if (p && s->uffd >= 0 && written_begin(s->uffd, &ignored) == 0)
		(void)written_watch(s->uffd, (uintptr_t)p, (uintptr_t)p + PAGE);
}

/* Of no pool: nothing is reserved, and they are never touched. */
static void make_huge(struct vma_samples *s)
{
	int flags = MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE;
	void *p = mmap(NULL, HUGE_SIZE, READ_WRITE, flags | MAP_PRIVATE, -1, 0);

	s->huge = p == MAP_FAILED ? NULL : p;
}

static void make_bound(struct vma_samples *s)
{
	uint8_t *p = make_plain(s);

	if (p && syscall(SYS_mbind, p, PAGE, PREFERRED, NULL, 0, 0) == 0)
		s->bound = (uintptr_t)p;
}

static int make_slots(struct vma_samples *s)
{
	void *p = mmap(NULL, (2 * SLOTS + 1) * PAGE, PROT_NONE,
		       PRIVATE | MAP_NORESERVE, -1, 0);
	uint8_t *plain;

	if (p == MAP_FAILED)
		return -errno;
	s->slots = p;
	plain = make_plain(s);
	if (!plain)
		return -ENOMEM;
	*(volatile uint8_t *)plain = 1;
	s->plain = (uintptr_t)plain;
	return 0;
}

int vma_samples_make(struct vma_samples *ret)
{
	struct vma_samples s = { .uffd = -EBADF };
	int r = make_slots(&s);

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++)
		(void)make(&s, kinds[i].prot, kinds[i].flags, -1);
	for (size_t i = 0; i < ARRAY_SIZE(advice) && r == 0; i++) {
		uint8_t *p = make_plain(&s);

		if (p)
			(void)madvise(p, PAGE, advice[i]);
	}
	if (r == 0) {
		make_locked(&s);
		make_of_file(&s);
		make_watched(&s);
		make_huge(&s);
		make_bound(&s);
		make_sealed();
		*ret = s;
	} else {
		vma_samples_done(&s);
	}
	return r;
}

void vma_samples_done(struct vma_samples *s)
{
	if (s->slots)
		(void)munmap(s->slots, (2 * SLOTS + 1) * PAGE);
	if (s->huge)
		(void)munmap(s->huge, HUGE_SIZE);
	if (s->uffd >= 0)
		close(s->uffd);
	*s = (struct vma_samples){ .uffd = -EBADF };
}
