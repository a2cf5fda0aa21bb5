/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: incremental [-m MIB] [-p PERCENT]... [-g GENERATIONS] [-b PAGES]
 *                    DIRECTORY
 *
 * A job with so much memory (1024) rewrites so many of its pages (1, 10 and 50
 * percent), picked at random so many (1) in a row, between snapshots,
 * GENERATIONS (5) of them.  A line for each, and then how long it takes to
 * restore the last one and a full snapshot of the same memory, both with a cold
 * page cache.  A job that comes back with other memory ends the whole.
 *
 *   changed  MiB of pages that were written to
 *   written  MiB of pages in the snapshot that are its own
 *   more     how much more these are
 *   frozen   ms that the job stood still
 *   watched  ms that its own writes took since the one before
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "drive.h"
#include "limit.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define PAGE     4096ull
#define PATIENCE (120 * NSEC_PER_SEC)
#define LISTED   8
#define MIB(b)   ((double)(b) / 1048576.0)

/* ---- the job --------------------------------------------------------------
 */

static uint64_t mix(uint64_t i)
{
	i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9ull;
	i = (i ^ (i >> 27)) * 0x94d049bb133111ebull;
	return i ^ (i >> 31);
}

static void say(const char *name, uint64_t turn, uint64_t a, uint64_t b)
{
	char path[64];
	FILE *f = fopen("said", "we");

	if (!f)
		exit(2);
	fprintf(f, "%llu %llu\n", (unsigned long long)a, (unsigned long long)b);
	fclose(f);
	snprintf(path, sizeof(path), "%s.%llu", name, (unsigned long long)turn);
	(void)rename("said", path);
}

static void fill(uint64_t *page, uint64_t number, uint64_t turn)
{
	for (uint64_t i = 0; i < PAGE / 8; i++)
		page[i] = mix((number << 20 | turn) * 512 + i + 1);
}

static bool is_filled(const uint64_t *page, uint64_t number, uint64_t turn)
{
	for (uint64_t i = 0; i < PAGE / 8; i++)
		if (page[i] != mix((number << 20 | turn) * 512 + i + 1))
			return false;
	return true;
}

static uint64_t row = 1; /* pages that are picked together */

static bool is_picked(uint64_t page, uint64_t percent, uint64_t turn)
{
	return mix(page / row << 24 | turn) % 100 < percent;
}

static uint64_t rewrite(uint64_t *memory, uint64_t pages, uint64_t percent,
			uint64_t turn, uint64_t *ret_ns)
{
	uint64_t began = clock_monotonic_ns(), changed = 0;

	for (uint64_t i = 0; i < pages; i++) {
		if (!is_picked(i, percent, turn))
			continue;
		fill(memory + i * 512, i, turn);
		changed++;
	}
	*ret_ns = clock_monotonic_ns() - began;
	return changed;
}

static int job_main(char **argv)
{
	uint64_t pages = (strtoull(argv[2], NULL, 10) << 20) / PAGE;
	uint64_t percent = strtoull(argv[3], NULL, 10), ns = 0;
	uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t turn;
	char path[64];

	row = strtoull(argv[4], NULL, 10);
	if (memory == MAP_FAILED || chdir(argv[1]) < 0)
		return 2;
	(void)madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < pages; i++)
		fill(memory + i * 512, i, 0);
	for (turn = 1;; turn++) {
		say("ready", turn, 0, ns);
		snprintf(path, sizeof(path), "go.%llu",
			 (unsigned long long)turn);
		while (access(path, F_OK) < 0 && access("end", F_OK) < 0)
			usleep(1000);
		if (access("end", F_OK) == 0)
			break;
		say("done", turn, rewrite(memory, pages, percent, turn, &ns),
		    ns);
	}
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t last = turn - 1;

		while (last && !is_picked(i, percent, last))
			last--;
		if (!is_filled(memory + i * 512, i, last))
			return 1;
	}
	return 0;
}

/* ---- the snapshots --------------------------------------------------------
 */

struct run {
	char dir[512];
	uint64_t mib, percent, generations;
	struct drive_job *job;
};

static void name_in(const struct run *r, const char *name, uint64_t n,
		    char ret[600])
{
	snprintf(ret, 600, "%.500s/%s.%llu", r->dir, name,
		 (unsigned long long)n);
}

static void touch(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

static void await(const struct run *r, const char *name, uint64_t turn,
		  unsigned long long *a, unsigned long long *b)
{
	char path[600];
	FILE *f;

	name_in(r, name, turn, path);
	while (access(path, F_OK) < 0)
		usleep(1000);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu %llu", a, b) != 2)
		die(path, 0);
	fclose(f);
}

static int cool(const char *path, const struct stat *st, int type,
		struct FTW *at)
{
	int fd = type == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	(void)st;
	(void)at;
	if (fd >= 0) {
		(void)fdatasync(fd);
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	return 0;
}

static void start(struct run *r)
{
	char self[4096], mib[24], percent[24], together[24];
	char *argv[] = { self,    (char *)"--job", r->dir, mib,
			 percent, together,        NULL };
	char *envp[] = { NULL };
	struct drive_place place = { 0 };
	struct err err = { 0 };

	if (!realpath("/proc/self/exe", self))
		die("this program", 0);
	snprintf(mib, sizeof(mib), "%llu", (unsigned long long)r->mib);
	snprintf(percent, sizeof(percent), "%llu",
		 (unsigned long long)r->percent);
	snprintf(together, sizeof(together), "%llu", (unsigned long long)row);
	if (drive_start(&place, argv, envp, &r->job, &err) < 0)
		die_of(&err);
}

static void save(struct run *r, uint64_t turn, bool last)
{
	static struct drive_outcome o;
	unsigned long long a = 0, took = 0, changed = 0;
	char path[600];

	await(r, "ready", turn, &a, &took);
	if (turn > 1)
		await(r, "done", turn - 1, &changed, &took);
	name_in(r, "images", turn, path);
	if (drive_checkpoint(r->job, path, last, &o) < 0)
		die_of(&o.err);
	printf("%5llu %4llu%% %4llu %8.1f %8.1f %+6.1f%% %8.1f %8.1f %s\n",
	       (unsigned long long)r->mib, (unsigned long long)r->percent,
	       (unsigned long long)turn, MIB(changed * PAGE),
	       MIB(o.checkpoint.page_bytes),
	       changed ? 100.0 * (double)o.checkpoint.page_bytes /
					 (double)(changed * PAGE) -
				 100.0
		       : 0,
	       (double)o.checkpoint.frozen_ns / 1e6, (double)took / 1e6,
	       o.checkpoint.not_borrowed);
	fflush(stdout);
	name_in(r, "go", turn, path);
	if (!last)
		touch(path);
}

static double restore(struct run *r, uint64_t turn)
{
	static struct drive_outcome o;
	struct drive_place place = { 0 };
	char path[600];

	drive_end(r->job);
	r->job = NULL;
	name_in(r, "images", turn, path);
	nftw(path, cool, 16, FTW_PHYS);
	if (drive_restore(&place, path, &r->job, &o) < 0)
		die_of(&o.err);
	return (double)o.restart.total_ns / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Both in turn: medians. */
static void compare(struct run *r, uint64_t turn)
{
	static struct drive_outcome o;
	double chain[RUNS], full[RUNS];
	char path[600];

	(void)restore(r, turn);
	name_in(r, "images", turn + 1, path);
	if (drive_checkpoint(r->job, path, true, &o) < 0)
		die_of(&o.err);
	for (unsigned int i = 0; i < RUNS; i++) {
		chain[i] = restore(r, turn);
		full[i] = restore(r, turn + 1);
	}
	qsort(chain, RUNS, sizeof(*chain), by_size);
	qsort(full, RUNS, sizeof(*full), by_size);
	printf("restored from generation %llu in %.0f ms, from a full one in "
	       "%.0f ms: %+.0f%%\n",
	       (unsigned long long)turn, chain[RUNS / 2], full[RUNS / 2],
	       100 * chain[RUNS / 2] / full[RUNS / 2] - 100);
}

static void measure(const char *dir, struct run *r)
{
	struct err err = { 0 };
	int status = -1;
	char path[600];

	snprintf(r->dir, sizeof(r->dir), "%.480s/incremental.XXXXXX", dir);
	if (!mkdtemp(r->dir))
		die(r->dir, 0);
	drive_watch(true);
	start(r);
	for (uint64_t turn = 1; turn <= r->generations; turn++) {
		save(r, turn, turn == r->generations);
		/* As a store would do it, that keeps two. */
		name_in(r, "images", turn - 2, path);
		if (turn > 2)
			remove_tree(path);
	}
	drive_watch(false);
	compare(r, r->generations);
	snprintf(path, sizeof(path), "%.500s/end", r->dir);
	touch(path);
	if (drive_wait(r->job, PATIENCE, &status, &err) < 0 || status != 0) {
		fprintf(stderr, "incremental: the restored job says %#x %s\n",
			(unsigned int)status, err.text);
		exit(1);
	}
	drive_end(r->job);
	remove_tree(r->dir);
}

int main(int argc, char **argv)
{
	uint64_t percents[LISTED] = { 1, 10, 50 };
	struct run r = { .mib = 1024, .generations = 5 };
	size_t given = 0, count = 3;
	int c;

	if (argc == 6 && strcmp(argv[1], "--job") == 0)
		return job_main(argv + 1);
	while ((c = getopt(argc, argv, "m:p:g:b:")) != -1)
		if (c == 'p' && given < LISTED &&
		    parse_u64(optarg, 100, &percents[given]) == 0)
			count = ++given;
		else if ((c != 'm' || parse_u64(optarg, 1 << 20, &r.mib) < 0) &&
			 (c != 'g' ||
			  parse_u64(optarg, 10000, &r.generations) < 0) &&
			 (c != 'b' || parse_u64(optarg, 1 << 20, &row) < 0 ||
			  !row))
			return 2;
	if (optind + 1 != argc || r.generations < 2) {
		fprintf(stderr, "usage: incremental [OPTION...] DIRECTORY\n");
		return 2;
	}
	puts("  MiB rate  gen  changed  written    more   frozen  watched");
	for (size_t i = 0; i < count; i++) {
		r.percent = percents[i];
		measure(argv[optind], &r);
	}
	return 0;
}
