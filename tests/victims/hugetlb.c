/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hugetlb [large | sysv | DIR]: huge pages of a pool, of every kind: 2 MiB ones
 * (in DIR, a hugetlbfs, too), one of 1 GiB, or System V segments.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define SIZE_SHIFT 26
#define HUGE_2M    (21u << SIZE_SHIFT)
#define HUGE_1G    (30u << SIZE_SHIFT)
#define SMALL      (2ul << 20)
#define LARGE      (1ul << 30)
#define RW         (PROT_READ | PROT_WRITE)

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static char *map(size_t pages, int flags)
{
	char *p = mmap(NULL, pages * SMALL, RW,
		       MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0);

	if (p == MAP_FAILED)
		victim_skip("no %zu more huge pages of 2 MiB: %s", pages,
			    strerror(errno));
	return p;
}

static char *map_file(int fd, size_t pages, int prot, int flags)
{
	char *p = mmap(NULL, pages * SMALL, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		victim_skip("no %zu more huge pages of 2 MiB for a file: %s",
			    pages, strerror(errno));
	return p;
}

/* KiB of huge pages that the mapping at that address has. */
static long resident(const void *at)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool here = false;
	char line[512];
	long sum = 0, kib;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)at;
		else if (here &&
			 (sscanf(line, "Shared_Hugetlb: %ld", &kib) == 1 ||
			  sscanf(line, "Private_Hugetlb: %ld", &kib) == 1))
			sum += kib;
	}
	if (f)
		fclose(f);
	return sum;
}

static void expect(const void *at, long pages, const char *what)
{
	long kib = resident(at);

	victim_check(kib == pages * (long)(SMALL >> 10),
		     "%s: %ld KiB of huge pages are there, not %ld", what, kib,
		     pages * (long)(SMALL >> 10));
}

/* Pages that a file has. */
static long pages_of(const struct stat *st)
{
	return (long)((size_t)st->st_blocks * 512 / SMALL);
}

/* ---- of one process -------------------------------------------------------
 */

static struct {
	char *plain, *locked, *wide, *advised[2], *hole;
} private;

static void set_private(void)
{
	private.plain = map(7, MAP_PRIVATE | (int)HUGE_2M);
	pattern_fill(private.plain, SMALL, 1);
	/* 1 is never touched; 2 is, but has zeroes alone. */
	memset(private.plain + 2 * SMALL, 0, SMALL);
	private.plain[3 * SMALL - 1] = 0;
	pattern_fill(private.plain + 4 * SMALL, SMALL, 2);
	mprotect(private.plain + 4 * SMALL, SMALL, PROT_READ);
	/* Little in it: all but the last word are zeroes. */
	private.plain[6 * SMALL - 1] = 'x';
	mprotect(private.plain + 5 * SMALL, SMALL, PROT_NONE);
	mprotect(private.plain + 6 * SMALL, SMALL, PROT_NONE);
	private.locked = map(1, MAP_PRIVATE);
	victim_need(mlock(private.locked, SMALL) == 0, "mlock");
	private.wide = map(4096, MAP_PRIVATE | MAP_NORESERVE);
	pattern_fill(private.wide + 4095 * SMALL, SMALL, 3);
	private.wide[100 * SMALL + 5] = 'w';
	for (int i = 0; i < 2; i++) {
		private.advised[i] = map(1, MAP_PRIVATE);
		pattern_fill(private.advised[i], SMALL, 4 + (uint64_t)i);
	}
	madvise(private.advised[0], SMALL, MADV_DONTFORK);
	madvise(private.advised[1], SMALL, MADV_DONTDUMP);
	private.hole = map(3, MAP_PRIVATE);
	pattern_fill(private.hole, 3 * SMALL, 6);
	munmap(private.hole + SMALL, SMALL);
}

static void check_private(void)
{
	expect(private.plain, 2, "private memory");
	expect(private.plain + 4 * SMALL, 1, "private memory, read-only");
	expect(private.plain + 5 * SMALL, 1, "private memory, hidden");
	expect(private.locked, 1, "locked memory");
	expect(private.wide, 2, "memory without a promise");
	victim_check(pattern_holds(private.plain, SMALL, 1),
		     "private memory differs");
	victim_check(all_zero(private.plain + 2 * SMALL, SMALL),
		     "zeroes differ");
	victim_check(pattern_holds(private.plain + 4 * SMALL, SMALL, 2),
		     "memory made read-only differs");
	mprotect(private.plain + 4 * SMALL, 3 * SMALL, RW);
	victim_check(all_zero(private.plain + 5 * SMALL, SMALL - 1) &&
			     private.plain[6 * SMALL - 1] == 'x',
		     "memory behind PROT_NONE differs");
	victim_check(all_zero(private.plain + 6 * SMALL, SMALL),
		     "hidden memory that never was touched differs");
	private.plain[4 * SMALL] = private.plain[SMALL] = 'y';
	victim_check(pattern_holds(private.wide + 4095 * SMALL, SMALL, 3) &&
			     private.wide[100 * SMALL + 5] == 'w' &&
			     all_zero(private.wide + 100 * SMALL, 5),
		     "memory without a promise differs");
	victim_check(pattern_holds(private.advised[0], SMALL, 4) &&
			     pattern_holds(private.advised[1], SMALL, 5),
		     "advised memory differs");
	victim_check(pattern_holds(private.hole, SMALL, 6) &&
			     ((uint64_t *)(private.hole + 2 * SMALL))[0] ==
				     ((uint64_t *)private.hole)[0] +
					     2 * SMALL / 8,
		     "memory around a hole differs");
}

/* ---- of a family ----------------------------------------------------------
 */

static struct {
	char *shared, *copied;
	atomic_int *turn;
	pid_t child;
} family;

/* Has the same private pages as its parent, but one. */
static int child(void)
{
	bool good;

	pattern_fill(family.copied + SMALL, SMALL, 12);
	atomic_store(family.turn, 1);
	victim_wait_go();
	good = pattern_holds(family.shared, SMALL - PAGE, 10);
	victim_check(good, "memory shared with the parent differs");
	good &= victim_check(
		pattern_holds(family.copied, SMALL, 11) &&
			pattern_holds(family.copied + SMALL, SMALL, 12),
		"private memory of a child differs");
	if (!victim_until(atomic_load(family.turn) == 2))
		return 1;
	family.copied[0] = 'c';
	pattern_fill(family.shared + SMALL, SMALL, 13);
	atomic_store(family.turn, 3);
	if (!victim_until(atomic_load(family.turn) == 4))
		return 1;
	return !good || family.copied[0] != 'c';
}

static void set_family(void)
{
	family.shared = map(4, MAP_SHARED);
	family.turn = (atomic_int *)(family.shared + SMALL - PAGE);
	family.copied = map(3, MAP_PRIVATE);
	pattern_fill(family.shared, SMALL - PAGE, 10);
	pattern_fill(family.copied, SMALL, 11);
	pattern_fill(family.copied + SMALL, SMALL, 14);
	family.child = fork();
	if (family.child == 0)
		_exit(child());
	victim_need(family.child > 0 &&
			    victim_until(atomic_load(family.turn) == 1),
		    "child");
}

/* What shared memory without a name has, only root may ask. */
static void check_shared_pages(void)
{
	struct stat st;
	char path[96];

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		 (unsigned long)family.shared,
		 (unsigned long)family.shared + 4 * SMALL);
	if (stat(path, &st) == 0)
		victim_check(pages_of(&st) == 1 && st.st_size == 4 * SMALL,
			     "shared memory has %ld pages", pages_of(&st));
}

static void check_family(void)
{
	int status = -1;

	victim_check(pattern_holds(family.copied, SMALL, 11) &&
			     pattern_holds(family.copied + SMALL, SMALL, 14),
		     "private memory of a parent differs");
	atomic_store(family.turn, 2);
	victim_check(victim_until(atomic_load(family.turn) == 3) &&
			     pattern_holds(family.shared + SMALL, SMALL, 13) &&
			     all_zero(family.shared + 2 * SMALL, 2 * SMALL),
		     "parent and child no longer share memory");
	victim_check(family.copied[0] != 'c',
		     "parent and child share private memory");
	family.copied[0] = 'p';
	atomic_store(family.turn, 4);
	waitpid(family.child, &status, 0);
	victim_check(status == 0, "the child found something wrong");
}

/* ---- memfds ---------------------------------------------------------------
 */

static struct {
	int plain, sealed, idle, future;
	char *shared, *private, *only, *fixed;
} memfd;

static int make(const char *name, size_t pages)
{
	int fd = memfd_create(name, MFD_HUGETLB | HUGE_2M | MFD_ALLOW_SEALING);

	victim_need(fd >= 0 && ftruncate(fd, (off_t)(pages * SMALL)) == 0,
		    name);
	return fd;
}

static int again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static const int write_seals =
	F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

static void set_memfds(void)
{
	char *p;

	memfd.plain = make("plain: huge", 4);
	fchmod(memfd.plain, 0640);
	victim_need(fcntl(memfd.plain, F_ADD_SEALS, F_SEAL_SHRINK) == 0,
		    "seal");
	lseek(memfd.plain, 1234, SEEK_SET);
	memfd.shared = map_file(memfd.plain, 4, RW, MAP_SHARED);
	pattern_fill(memfd.shared, 2 * SMALL, 20);
	memset(memfd.shared + 3 * SMALL, 0, PAGE);
	memfd.private = map_file(memfd.plain, 4, RW, MAP_PRIVATE);
	/* Of its own: zeroes over data, and data over a hole. */
	memset(memfd.private + SMALL + PAGE, 0, PAGE);
	pattern_fill(memfd.private + 2 * SMALL, PAGE, 21);

	memfd.sealed = make("sealed", 1);
	p = map_file(memfd.sealed, 1, RW, MAP_SHARED);
	pattern_fill(p, SMALL, 22);
	munmap(p, SMALL);
	victim_need(fcntl(memfd.sealed, F_ADD_SEALS, write_seals) == 0,
		    "seals");
	memfd.only = map_file(again(memfd.sealed, O_RDONLY), 1, PROT_READ,
			      MAP_SHARED);

	/* Not mapped, and the pages it has are zeroes. */
	memfd.idle = make("idle", 3);
	if (fallocate(memfd.idle, 0, SMALL, SMALL) < 0)
		victim_skip("no huge page for a memfd: %s", strerror(errno));
	memfd.future = make("future", 1);
	memfd.fixed = map_file(memfd.future, 1, RW, MAP_SHARED);
	victim_need(fcntl(memfd.future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0,
		    "future seal");
}

static bool link_is(int fd, const char *text)
{
	char path[64], link[300] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, link, sizeof(link) - 1) > 0 &&
	       strcmp(link, text) == 0;
}

static void check_file(int fd, mode_t mode, long size, long pages, int seals)
{
	struct stat st = { 0 };

	fstat(fd, &st);
	victim_check((st.st_mode & 07777) == mode && st.st_uid == geteuid() &&
			     st.st_size == size * (long)SMALL &&
			     st.st_blksize == SMALL && pages_of(&st) == pages,
		     "file %d: mode %o, user %u, size %ld, pages of %ld, %ld "
		     "of them",
		     fd, st.st_mode, st.st_uid, (long)st.st_size,
		     (long)st.st_blksize, pages_of(&st));
	victim_check(fcntl(fd, F_GET_SEALS) == seals, "file %d: seals %#x", fd,
		     fcntl(fd, F_GET_SEALS));
}

static void check_memfds(void)
{
	char data[2] = "";

	check_file(memfd.plain, 0640, 4, 3, F_SEAL_SHRINK);
	check_file(memfd.sealed, 0777, 1, 1, write_seals);
	check_file(memfd.idle, 0777, 3, 1, 0);
	check_file(memfd.future, 0777, 1, 0, F_SEAL_FUTURE_WRITE);
	victim_check(link_is(memfd.plain, "/memfd:plain: huge (deleted)") &&
			     lseek(memfd.plain, 0, SEEK_CUR) == 1234,
		     "name or position is lost");
	victim_check(pattern_holds(memfd.shared, 2 * SMALL, 20) &&
			     all_zero(memfd.shared + 3 * SMALL, SMALL),
		     "a memfd's contents differ");
	memfd.shared[SMALL - 1] = 's';
	memfd.shared[SMALL + 9 * PAGE] = 's';
	victim_check(pread(memfd.plain, data, 1, SMALL - 1) == 1 &&
			     data[0] == 's',
		     "mapping and descriptor are not the same file");
	victim_check(memfd.private[SMALL - 1] == 's' &&
			     all_zero(memfd.private + SMALL + PAGE, PAGE) &&
			     memcmp(memfd.private + SMALL + 2 * PAGE,
				    memfd.shared + SMALL + 2 * PAGE,
				    7 * PAGE) == 0 &&
			     memfd.private[SMALL + 9 * PAGE] != 's' &&
			     pattern_holds(memfd.private + 2 * SMALL, PAGE, 21),
		     "a private mapping of a memfd differs");
	victim_check(pattern_holds(memfd.only, SMALL, 22) &&
			     mmap(NULL, SMALL, RW, MAP_SHARED, memfd.sealed,
				  0) == MAP_FAILED,
		     "a sealed memfd differs");
	memfd.fixed[0] = 'z';
	victim_check(mmap(NULL, SMALL, RW, MAP_SHARED, memfd.future, 0) ==
				     MAP_FAILED &&
			     pread(memfd.future, data, 1, 0) == 1 &&
			     data[0] == 'z',
		     "a seal against future writes is different");
}

/* ---- files of a hugetlbfs -------------------------------------------------
 */

static struct {
	char name[200];
	int named, gone;
	char *shared, *private, *lost;
} file;

static int make_file(const char *dir, const char *name)
{
	int fd;

	snprintf(file.name, sizeof(file.name), "%s/%s.%d", dir, name,
		 (int)getpid());
	fd = open(file.name, O_RDWR | O_CREAT | O_EXCL, 0640);
	if (fd < 0)
		victim_skip("%s: %s", file.name, strerror(errno));
	victim_need(ftruncate(fd, 2 * SMALL) == 0, file.name);
	return fd;
}

static void set_files(const char *dir)
{
	file.gone = make_file(dir, "gone");
	file.lost = map_file(file.gone, 2, RW, MAP_SHARED);
	pattern_fill(file.lost + SMALL, SMALL, 31);
	unlink(file.name);
	file.named = make_file(dir, "named");
	file.shared = map_file(file.named, 2, RW, MAP_SHARED);
	pattern_fill(file.shared, SMALL, 30);
	file.private = map_file(file.named, 2, RW, MAP_PRIVATE);
	file.private[7] = 'p';
}

static void check_files(void)
{
	struct stat st = { 0 };
	char c = 0;
	int fd;

	victim_check(pattern_holds(file.shared, SMALL, 30) &&
			     all_zero(file.shared + SMALL, SMALL) &&
			     file.private[7] == 'p' &&
			     file.private[8] == file.shared[8],
		     "a file of huge pages differs");
	fd = open(file.name, O_RDONLY);
	file.shared[5] = 'f';
	victim_check(fd >= 0 && read(fd, &c, 1) == 1 &&
			     pread(fd, &c, 1, 5) == 1 && c == 'f',
		     "the file at its path is another");
	victim_check(fstat(file.gone, &st) == 0 && st.st_nlink == 0 &&
			     st.st_size == 2 * SMALL && pages_of(&st) == 1 &&
			     (st.st_mode & 07777) == 0640,
		     "an unlinked file has %ld bytes, %ld pages, mode %o",
		     (long)st.st_size, pages_of(&st), st.st_mode);
	victim_check(pattern_holds(file.lost + SMALL, SMALL, 31) &&
			     all_zero(file.lost, SMALL),
		     "an unlinked file's data differ");
	file.lost[1] = 'l';
	victim_check(pread(file.gone, &c, 1, 1) == 1 && c == 'l',
		     "an unlinked file and its mapping differ");
	unlink(file.name);
}

/* ---- 1 GiB ----------------------------------------------------------------
 */

static int large(void)
{
	const int flags = MAP_ANONYMOUS | MAP_HUGETLB | (int)HUGE_1G;
	char *own = mmap(NULL, LARGE, RW, MAP_PRIVATE | flags, -1, 0);
	int fd = memfd_create("large", MFD_HUGETLB | HUGE_1G);
	char *shared;

	if (own == MAP_FAILED || fd < 0 || ftruncate(fd, LARGE) < 0)
		victim_skip("no huge page of 1 GiB: %s", strerror(errno));
	shared = mmap(NULL, LARGE, RW, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		victim_skip("no second huge page of 1 GiB: %s",
			    strerror(errno));
	pattern_fill(own + LARGE / 2, 8 * PAGE, 40);
	pattern_fill(shared + LARGE - 4 * PAGE, 4 * PAGE, 41);
	mappings_note();

	victim_wait();

	mappings_compare();
	victim_check(resident(own) == (long)(LARGE >> 10),
		     "%ld KiB of huge pages", resident(own));
	victim_check(pattern_holds(own + LARGE / 2, 8 * PAGE, 40) &&
			     all_zero(own, LARGE / 2) &&
			     all_zero(own + LARGE - PAGE, PAGE),
		     "a page of 1 GiB differs");
	victim_check(pattern_holds(shared + LARGE - 4 * PAGE, 4 * PAGE, 41) &&
			     all_zero(shared, PAGE),
		     "a shared page of 1 GiB differs");
	victim_verdict(true, "huge pages of 1 GiB are as they were");
}

/* ---- System V segments ----------------------------------------------------
 */

static int sysv(void)
{
	const int flags = IPC_CREAT | SHM_HUGETLB | (int)HUGE_2M | 0600;
	int id = shmget(IPC_PRIVATE, 2 * SMALL + 5, flags);
	int idle = shmget(IPC_PRIVATE, SMALL, flags);
	struct shmid_ds ds = { 0 };
	char *at, *reader;

	if (id < 0 || idle < 0)
		victim_skip("no segments of huge pages: %s", strerror(errno));
	at = shmat(id, NULL, 0);
	reader = shmat(idle, NULL, 0);
	victim_need(at != (void *)-1 && reader != (void *)-1, "shmat");
	pattern_fill(at + SMALL, SMALL, 50);
	pattern_fill(reader, SMALL, 51);
	victim_need(shmdt(reader) == 0, "shmdt");
	reader = shmat(id, NULL, SHM_RDONLY);
	victim_need(munmap(reader, SMALL) == 0, "munmap");
	mappings_note();

	victim_wait();

	mappings_compare();
	victim_check(pattern_holds(at + SMALL, SMALL, 50) &&
			     pattern_holds(reader + SMALL, SMALL, 50),
		     "a segment of huge pages differs");
	/* Nothing but that is there before it is looked at. */
	expect(at, 1, "a segment");
	victim_check(all_zero(at, SMALL) && all_zero(at + 2 * SMALL, SMALL),
		     "zeroes of a segment differ");
	victim_check(shmctl(id, IPC_STAT, &ds) == 0 &&
			     ds.shm_segsz == 2 * SMALL + 5,
		     "a segment has %zu bytes", ds.shm_segsz);
	at = shmat(idle, NULL, 0);
	victim_check(at != (void *)-1 && pattern_holds(at, SMALL, 51),
		     "a segment that nobody had attached differs");
	victim_check(shmdt(reader) == 0 && shmctl(id, IPC_RMID, NULL) == 0 &&
			     shmctl(idle, IPC_RMID, NULL) == 0,
		     "segments cannot be removed");
	victim_verdict(true, "segments of huge pages are as they were");
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "sysv") == 0)
		return sysv();
	if (argc > 1 && strcmp(argv[1], "large") == 0)
		return large();
	/* First, so that the child has no other private memory. */
	set_family();
	set_private();
	set_memfds();
	if (argc > 1)
		set_files(argv[1]);
	mappings_note();

	victim_wait();

	mappings_compare();
	check_shared_pages();
	check_private();
	check_family();
	check_memfds();
	if (argc > 1)
		check_files();
	victim_verdict(true, "huge pages are as they were%s",
		       argc > 1 ? ", files too" : "");
}
