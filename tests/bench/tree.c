/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/drive.h"
#include "tests/lib/sample.h"
#include "util/clock.h"

/*
 * tree [-d DIRECTORY] [SHAPE N]...: how long trees of many things stand still
 * for a checkpoint, and how long their restore takes; without a shape all of
 * them, each with n and 2n.  Prints; never judges.
 *
 * Shapes: tree (N processes with four threads each), processes, threads (of
 * one process), mappings (of one page each), cow (N MiB in each of two
 * processes, half of it shared copy-on-write), scattered (every other page),
 * chain (N processes, each a child of the one before, 2000 shared pieces).
 */

#define PATIENCE     (120 * NSEC_PER_SEC)
#define PAGE         4096ul
#define CHAIN_PIECES 2000ul
#define MAP_MAX      "/proc/sys/vm/max_map_count"

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static bool fork_all(unsigned int n)
{
	bool child = false;

	for (unsigned int i = 1; i < n && !child; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return false;
		child = pid == 0;
	}
	return true;
}

static bool start_threads(unsigned int n)
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (unsigned int i = 1; i < n; i++)
		if (pthread_create(&thread, &small, sleep_on, NULL))
			return false;
	return true;
}

static bool be_tree(unsigned int n)
{
	return fork_all(n) && start_threads(4);
}

/* Neighbours differ in their rights: the kernel joins none of them. */
static bool be_mappings(unsigned int n)
{
	char *at = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		at[i * PAGE] = (char)(i + 1);
		if (i % 2 && mprotect(at + i * PAGE, PAGE, PROT_READ) < 0)
			return false;
	}
	return true;
}

static bool be_cow(unsigned int n)
{
	const size_t len = (size_t)n << 20;
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return false;
	for (size_t i = 0; i < len; i += PAGE)
		memset(at + i, (int)(i / PAGE % 255) + 1, PAGE);
	if (!fork_all(2))
		return false;
	/* Both may write: whoever comes first has the new page. */
	for (size_t i = 0; i < len / 2; i += PAGE)
		at[i] ^= 1;
	return true;
}

/* As cow, but what each has written lies between what they share. */
static bool be_scattered(unsigned int n)
{
	const size_t len = (size_t)n << 20;
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return false;
	for (size_t i = 0; i < len; i += PAGE)
		memset(at + i, (int)(i / PAGE % 255) + 1, PAGE);
	if (!fork_all(2))
		return false;
	for (size_t i = 0; i < len; i += 2 * PAGE)
		at[i] ^= 1;
	return true;
}

/* Each is the child of the one before; they share pages among holes. */
static bool be_chain(unsigned int n)
{
	const size_t len = CHAIN_PIECES * 2 * PAGE;
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid = 0;

	if (at == MAP_FAILED)
		return false;
	for (size_t i = 0; i < len; i += 2 * PAGE)
		memset(at + i, (int)(i / PAGE % 255) + 1, PAGE);
	for (unsigned int i = 1; i < n && pid == 0; i++)
		pid = fork();
	return pid >= 0;
}

static const struct shape {
	const char *name;
	bool (*be)(unsigned int n);
	unsigned int first; /* and twice as many */
	const char *unit;
	bool all_tell; /* every process says when it is complete */
} shapes[] = {
	{ "tree", be_tree, 64, "processes of four threads", true },
	{ "processes", fork_all, 500, "processes", true },
	{ "threads", start_threads, 500, "threads", false },
	{ "mappings", be_mappings, 50000, "mappings", false },
	{ "cow", be_cow, 2048, "MiB in each of two processes", true },
	{ "scattered", be_scattered, 64, "MiB, every other page shared", true },
	{ "chain", be_chain, 100, "processes, each a child of another", true },
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static const struct shape *shape_of(const char *name)
{
	for (size_t i = 0; i < SHAPES; i++)
		if (strcmp(shapes[i].name, name) == 0)
			return &shapes[i];
	return NULL;
}

/* The job: this program again.  A process writes a byte when complete. */
static int be_job(const char *shape, const char *number)
{
	const struct shape *s = shape_of(shape);

	if (!s || !s->be((unsigned int)atoi(number)) ||
	    write(STDOUT_FILENO, ".", 1) != 1)
		return 2;
	sleep_on(NULL);
	return 0;
}

struct bench {
	char work[64], output[80], image[600];
	struct drive_place place;
	unsigned long max_maps; /* as it was */
};

static unsigned long set_max_maps(unsigned long n)
{
	FILE *f = fopen(MAP_MAX, "r+e");
	unsigned long before = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%lu", &before) == 1 && n) {
		rewind(f);
		fprintf(f, "%lu\n", n);
	}
	fclose(f);
	return before;
}

static void tidy(const struct bench *b)
{
	set_max_maps(b->max_maps);
	temp_dir_remove(b->image);
	temp_dir_remove(b->work);
}

static void die(const struct bench *b, const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	tidy(b);
	exit(1);
}

static off_t bytes_wanted(const struct shape *s, unsigned int n)
{
	if (!s->all_tell)
		return 1;
	return s->be == be_cow || s->be == be_scattered ? 2 : n;
}

static struct drive_job *begin(const struct bench *b, const struct shape *s,
			       unsigned int n)
{
	uint64_t deadline = clock_monotonic_ns() + PATIENCE;
	char self[4096], number[16], *env[] = { NULL };
	char *argv[] = { self, (char *)"--job", (char *)s->name, number, NULL };
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct drive_job *job;
	struct stat st;
	struct err err;

	self[len > 0 ? len : 0] = '\0';
	snprintf(number, sizeof(number), "%u", n);
	(void)unlink(b->output);
	if (drive_start(&b->place, argv, env, &job, &err) < 0)
		die(b, "start", err.text);
	while (stat(b->output, &st) < 0 || st.st_size < bytes_wanted(s, n)) {
		if (clock_monotonic_ns() > deadline)
			die(b, "start", "the tree is not complete in time");
		usleep(10000);
	}
	return job;
}

static void once(const struct bench *b, const struct shape *s, unsigned int n)
{
	struct drive_outcome *o = calloc(2, sizeof(*o));
	struct drive_outcome *saved = &o[0], *restored = &o[1];
	struct drive_job *job;

	if (!o)
		die(b, "memory", strerror(errno));
	job = begin(b, s, n);
	if (drive_checkpoint(job, b->image, true, saved) < 0)
		die(b, "checkpoint", saved->err.text);
	drive_end(job);
	if (drive_restore(&b->place, b->image, &job, restored) < 0)
		die(b, "restore", restored->err.text);
	drive_end(job);
	temp_dir_remove(b->image);
	printf("%6u %s: frozen %.0f ms (pinned after %.0f ms), %.1f MiB saved "
	       "in %.0f ms, restored in %.0f ms, worker's peak %.0f and %.0f "
	       "MiB\n",
	       n, s->unit, (double)saved->checkpoint.frozen_ns / 1e6,
	       (double)saved->checkpoint.pinned_ns / 1e6,
	       (double)saved->checkpoint.page_bytes / 1048576,
	       (double)saved->checkpoint.total_ns / 1e6,
	       (double)restored->restart.total_ns / 1e6,
	       (double)saved->peak_rss_kb / 1024,
	       (double)restored->peak_rss_kb / 1024);
	fflush(stdout);
	free(o);
}

/* In a build tree the puppet lies three folders above this program. */
static void find_puppet(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int up;

	path[n > 0 ? n : 0] = '\0';
	for (up = 0; up < 3 && strrchr(path, '/'); up++)
		*strrchr(path, '/') = '\0';
	setenv("JOBCR_LIBEXEC", path, 0);
}

static void set_up(struct bench *b, const char *dir)
{
	int work_fd = temp_dir(b->work);

	if (work_fd < 0)
		exit(1);
	close(work_fd);
	snprintf(b->output, sizeof(b->output), "%s/output", b->work);
	snprintf(b->image, sizeof(b->image), "%.500s/.jobcr-bench.%d",
		 dir ? dir : b->work, getpid());
	b->place.cwd = b->work;
	b->place.output = b->output;
	b->max_maps = set_max_maps(0);
	if (b->max_maps < 1000000)
		set_max_maps(1000000);
}

int main(int argc, char **argv)
{
	struct bench b = { .place = { 0 } };
	const char *dir = NULL;
	bool all;
	int i = 1;

	if (argc == 4 && !strcmp(argv[1], "--job"))
		return be_job(argv[2], argv[3]);
	if (argc > 2 && !strcmp(argv[1], "-d")) {
		dir = argv[2];
		i = 3;
	}
	all = i == argc;
	find_puppet();
	set_up(&b, dir);
	for (; i + 1 < argc; i += 2) {
		const struct shape *s = shape_of(argv[i]);

		if (!s)
			die(&b, argv[i], "no such shape");
		once(&b, s, (unsigned int)atoi(argv[i + 1]));
	}
	for (size_t k = 0; all && k < SHAPES; k++)
		for (unsigned int f = 1; f <= 2; f++)
			once(&b, &shapes[k], f * shapes[k].first);
	tidy(&b);
	return 0;
}
