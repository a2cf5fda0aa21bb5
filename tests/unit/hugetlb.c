/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Huge pages where the restore finds another pool, and other files, than the
 * job left: a lack of them is refused by name and leaves nothing behind, and
 * files on a hugetlbfs are made again where they are gone or different.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/core.h"
#include "tests/lib/drive.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PATIENCE (60 * NSEC_PER_SEC)
#define SMALL    (2ul << 20)
#define RW       (PROT_READ | PROT_WRITE)
#define COUNT    "/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* What the job takes: promised, without a promise, shared; and of a file. */
#define OWN    3
#define LOOSE  50
#define SHARED 2
#define TAKEN  (OWN + 1 + SHARED)
#define FILED  2

static char dir[64], path[200];

static const char *in_dir(const char *where, const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", where, name);
	return path;
}

static uint8_t *map(size_t pages, int flags, int fd)
{
	uint8_t *p = mmap(NULL, pages * SMALL, RW, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void say(const char *where, const char *name)
{
	int fd = open(in_dir(where, name), O_CREAT | O_WRONLY, 0644);

	if (fd >= 0)
		close(fd);
}

static int job_main(const char *where, const char *huge_dir)
{
	const int anon = MAP_ANONYMOUS | MAP_HUGETLB;
	int fd = open(in_dir(huge_dir, "named"), O_RDWR | O_CREAT, 0600);
	uint8_t *own = map(OWN, MAP_PRIVATE | anon, -1);
	uint8_t *loose = map(LOOSE, MAP_PRIVATE | MAP_NORESERVE | anon, -1);
	uint8_t *shared = map(SHARED, MAP_SHARED | anon, -1);
	uint8_t *file;

	if (fd < 0 || ftruncate(fd, FILED * SMALL) < 0)
		return 2;
	file = map(FILED, MAP_SHARED, fd);
	if (!own || !loose || !shared || !file)
		return 3;
	own[1] = loose[9 * SMALL] = shared[SMALL] = 7;
	memset(file + SMALL, 8, SMALL);
	say(where, "ready");
	while (access(in_dir(where, "go"), F_OK) < 0)
		usleep(1000);
	if (own[1] != 7 || loose[9 * SMALL] != 7 || shared[SMALL] != 7)
		return 4;
	for (size_t i = 0; i < SMALL; i++)
		if (file[i] || file[SMALL + i] != 8)
			return 5;
	/* All that was promised is there. */
	memset(own, 1, OWN * SMALL);
	memset(shared, 1, SHARED * SMALL);
	memset(file, 1, FILED * SMALL);
	return pread(fd, own, 1, 5) == 1 && own[0] == 1 ? 0 : 6;
}

static long count(const char *name)
{
	FILE *f = fopen(in_dir(COUNT, name), "re");
	long n = -1;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

static long idle(void)
{
	return count("free_hugepages") - count("resv_hugepages");
}

/* Take all that are free but so many; NULL: there are less. */
static uint8_t *eat(long leave, size_t *ret_len)
{
	long all = idle();
	uint8_t *food = NULL;

	if (all > leave)
		food = map((size_t)(all - leave),
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	if (!food)
		return NULL;
	*ret_len = (size_t)(all - leave) * SMALL;
	/* What a child that is not yet gone has as well is not given back. */
	(void)madvise(food, *ret_len, MADV_DONTFORK);
	memset(food, 1, *ret_len);
	return food;
}

/* A file that another process has mapped as well is not the job's alone. */
static void test_outside(struct drive_job *job, const char *huge_dir)
{
	int fd = open(in_dir(huge_dir, "named"), O_RDWR);
	struct drive_outcome *o = calloc(1, sizeof(*o));
	uint8_t *file = map(FILED, MAP_SHARED, fd);
	bool named = false;
	char to[80];
	int r;

	snprintf(to, sizeof(to), "%s/refused", dir);
	r = drive_checkpoint(job, to, false, o);
	for (size_t i = 0; i < o->refused && i < ARRAY_SIZE(o->finding); i++)
		named |= strstr(o->finding[i], "outside the job") != NULL;
	ok(file && r == -ENOTSUP && named,
	   "one that maps a file with another process is refused: %s",
	   o->err.text);
	if (file)
		munmap(file, FILED * SMALL);
	close(fd);
	free(o);
}

static int save(const char *huge_dir, const char *images)
{
	char *self = realpath("/proc/self/exe", NULL);
	char *argv[] = { self, (char *)"--job", dir, (char *)huge_dir, NULL };
	char *envp[] = { NULL };
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_place place = { .cwd = "/" };
	uint64_t deadline = clock_monotonic_ns() + PATIENCE;
	struct drive_job *job = NULL;
	int r = drive_start(&place, argv, envp, &job, &o->err);

	while (r == 0 && access(in_dir(dir, "ready"), F_OK) < 0 &&
	       clock_monotonic_ns() < deadline)
		usleep(1000);
	if (r == 0) {
		test_outside(job, huge_dir);
		r = drive_checkpoint(job, images, true, o);
	}
	ok(r == 0, "a job with huge pages is saved: %s", o->err.text);
	drive_end(job);
	free(self);
	free(o);
	return r;
}

static int restore(const char *images, struct drive_job **ret, char *text)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_place place = { .cwd = "/" };
	int r = drive_restore(&place, images, ret, o);

	snprintf(text, ERR_TEXT_SIZE, "%s", o->err.text);
	free(o);
	return r;
}

/* A core file has them all, also those of the file. */
static void test_core(const char *images)
{
	auto_close int dir_fd = open(images, O_RDONLY | O_DIRECTORY);
	auto_close int fd =
		open(in_dir(dir, "core"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct core_facts facts;
	struct err err = { 0 };
	size_t eights = 0, sevens = 0;
	uint8_t page[4096];
	int r = snapshot_core(dir_fd, 0, true, fd, &facts, &err);

	for (off_t at = 0; pread(fd, page, sizeof(page), at) > 0;
	     at += sizeof(page)) {
		eights += page[0] == 8 && page[4095] == 8;
		sevens += page[0] == 7 || page[1] == 7;
	}
	ok(r == 0 && eights >= SMALL / sizeof(page) && sevens >= 3,
	   "they are in a core file: %s", err.text);
}

/* Mappings promise themselves pages; those of the file are still there. */
static void test_lack(const char *images)
{
	char text[ERR_TEXT_SIZE], want[80], node[65] = "";
	struct drive_job *job = NULL;
	size_t len = 0;
	uint8_t *food;
	long before;
	int r;

	gethostname(node, sizeof(node) - 1);
	food = eat(TAKEN - 1, &len);
	before = count("free_hugepages");
	r = restore(images, &job, text);
	snprintf(want, sizeof(want),
		 "needs %d huge pages of 2 MiB, %d are free on node ", TAKEN,
		 TAKEN - 1);
	ok(food && r == -ENOTSUP && strstr(text, want) && strstr(text, node) &&
		   strstr(text, "nr_hugepages"),
	   "one huge page less than it takes is refused by name: %s", text);
	drive_end(job);
	ok(count("free_hugepages") == before && idle() == TAKEN - 1,
	   "and no page is taken or promised");
	if (food)
		munmap(food, len);
}

static void runs(const char *images, const char *what)
{
	char text[ERR_TEXT_SIZE];
	struct drive_job *job = NULL;
	struct err err = { 0 };
	int status = -1;

	if (!ok(restore(images, &job, text) == 0, "%s, it is restored: %s",
		what, text))
		return;
	say(dir, "go");
	(void)drive_wait(job, PATIENCE, &status, &err);
	ok(status == 0, "and finds all as it was: %#x %s", (unsigned int)status,
	   err.text);
	drive_end(job);
	unlink(in_dir(dir, "go"));
}

/* Others wrote to the file, or it was never on this node. */
static void test_files(const char *images, const char *huge_dir)
{
	int fd = open(in_dir(huge_dir, "named"), O_RDWR);
	uint8_t *file = map(FILED, MAP_SHARED, fd);
	size_t len = 0;
	uint8_t *food = eat(TAKEN, &len);

	ok(food != NULL, "as many huge pages as it takes are left: %ld",
	   idle());
	runs(images, "with the file as it was");
	ok(file && file[5] == 1, "in which it goes on");
	if (food)
		munmap(food, len);
	runs(images, "with a file that was changed");
	ok(file && file[5] == 1 && file[SMALL] == 1, "which stays as it is");
	unlink(in_dir(huge_dir, "named"));
	if (file)
		munmap(file, FILED * SMALL);
	close(fd);
	runs(images, "without the file");
	food = eat(TAKEN, &len);
	if (food) {
		char text[ERR_TEXT_SIZE];
		struct drive_job *job = NULL;

		ok(restore(images, &job, text) < 0,
		   "with no pages for the file it is not: %s", text);
		drive_end(job);
		ok(idle() == TAKEN, "and no page is taken or promised");
		munmap(food, len);
	}
}

int main(int argc, char **argv)
{
	const char *huge_dir = getenv("HUGE_DIR"),
		   *build = getenv("top_builddir");
	auto_close int dir_fd = -EBADF;
	char images[80];

	if (argc == 4 && strcmp(argv[1], "--job") == 0)
		return job_main(argv[2], argv[3]);
	if (geteuid() != 0)
		skip_all("needs root");
	if (!huge_dir) {
		execl(in_dir(build ? build : ".", "tests/lib/hugepages"),
		      "hugepages", "20", "0", argv[0], NULL);
		skip_all("needs %s", path);
	}
	if (idle() < TAKEN + 2 * FILED)
		skip_all("no %d huge pages of 2 MiB", TAKEN + 2 * FILED);
	dir_fd = temp_dir(dir);
	snprintf(images, sizeof(images), "%s/images", dir);
	if (save(huge_dir, images) == 0) {
		test_core(images);
		test_lack(images);
		test_files(images, huge_dir);
	}
	temp_dir_remove(dir);
	return done_testing();
}
