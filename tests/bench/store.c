/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: store [-n RUNS] [-m MIB]... [-k KIND]... [-p PROCESSES]...
 *              [-c COMPRESSION]... [-H] [-w] DIRECTORY
 *
 * Jobs that have so much memory of a kind, in so many processes, are
 * checkpointed, killed and restored, each RUNS (3) times: a line with medians
 * for each, beside what the disk did just before and just after.  Rates count
 * the memory that the job has: of "holes" only a tenth.  A job that comes back
 * with other memory ends the whole.  -H: in huge pages.  -w: restored from an
 * image that was just read.
 *
 * A virtual machine may have given memory that was free back to its host, and
 * has it again more slowly than any disk: so before a restore as much memory
 * as it needs is touched.
 *
 * Before each size: what memcpy does in one thread, and fio in the directory
 * if it is installed.
 *
 *   write, read  the directory's limit, with O_DIRECT where it can, and fsync
 *   dump         from the first stop until all is durable
 *   killable     how long until the job may be killed by others
 *   stored       bytes in the store for a byte of memory
 *   restore      until the job runs, with a cold page cache, or a warm one (-w)
 *   memory       of the worker, at most
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"
#include "limit.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define PATIENCE (120 * NSEC_PER_SEC)
#define LISTED   8
#define WORDS    512u /* of a page */
/* What a restore needs beside the job's: buffers, page tables. */
#define WORKERS_MEMORY (256ull << 20)

/* ---- the job --------------------------------------------------------------
 */

static uint64_t mix(uint64_t i)
{
	i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9ull;
	i = (i ^ (i >> 27)) * 0x94d049bb133111ebull;
	return i ^ (i >> 31);
}

static uint64_t random_word(uint64_t i)
{
	return mix(i + 1);
}

/* Nine pages of ten; written to, or never. */
static uint64_t zeros_word(uint64_t i)
{
	return i / WORDS % 10 ? 0 : mix(i + 1);
}

static uint64_t field_word(uint64_t i)
{
	double d = 1.0 + (double)i * 1e-7 + (double)(mix(i) % 1000) * 1e-11;
	uint64_t word;

	memcpy(&word, &d, sizeof(word));
	return word;
}

static uint64_t heap_word(uint64_t i)
{
	return i % 7 ? 0x555555550000 + mix(i) % 64 * 48 : mix(i) % 100;
}

static const struct kind {
	const char *name;
	uint64_t (*word)(uint64_t i);
	bool holes; /* what is zero was never written to */
} kinds[] = { { "random", random_word, false },
	      { "zeros", zeros_word, false },
	      { "holes", zeros_word, true },
	      { "field", field_word, false },
	      { "heap", heap_word, false } };

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* Fill, say so, wait for the end of a pipe, check. */
static int process_main(const struct kind *kind, uint64_t bytes, bool huge,
			uint64_t number, int pipe_fd)
{
	uint64_t words = bytes / 8, first = number * words;
	uint64_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char ready[32];

	if (p == MAP_FAILED)
		return 2;
	if (huge)
		(void)madvise(p, bytes, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < words; i++) {
		uint64_t w = kind->word(first + i);

		if (w || !kind->holes)
			p[i] = w;
	}
	snprintf(ready, sizeof(ready), "ready.%llu",
		 (unsigned long long)number);
	close(open(ready, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	if (read(pipe_fd, ready, 1) != 0)
		return 3;
	for (uint64_t i = 0; i < words; i++)
		if (p[i] != kind->word(first + i))
			return 1;
	return 0;
}

static int job_main(char **argv)
{
	const struct kind *kind = find_kind(argv[3]);
	uint64_t mib = strtoull(argv[2], NULL, 10);
	uint64_t processes = strtoull(argv[4], NULL, 10);
	bool huge = strcmp(argv[5], "huge") == 0;
	int status, worst = 0, ends[2];

	if (!kind || !processes || chdir(argv[1]) < 0 || pipe(ends) < 0)
		return 2;
	for (uint64_t i = 0; i < processes; i++)
		if (fork() == 0) {
			close(ends[1]);
			_exit(process_main(kind, (mib << 20) / processes, huge,
					   i, ends[0]));
		}
	while (access("go", F_OK) < 0)
		usleep(1000);
	close(ends[1]);
	while (wait(&status) > 0)
		worst = worst || status;
	return worst;
}

/* ---- rounds ---------------------------------------------------------------
 */

struct line {
	struct bench bench;
	char dir[512], images[600];
	const char *kind, *compression;
	uint64_t mib, processes;
	bool huge, warm;
};

enum figure {
	WRITE,
	READ,
	DUMP,
	DUMP_SHARE,
	KILLABLE,
	STORED,
	RESTORE,
	RESTORE_SHARE,
	MEMORY,
	FIGURES
};

static void name_in(const struct line *l, const char *name, char ret[600])
{
	snprintf(ret, 600, "%.500s/%s", l->dir, name);
}

static void await_ready(const struct line *l)
{
	char name[32], path[600];

	for (uint64_t i = 0; i < l->processes; i++) {
		snprintf(name, sizeof(name), "ready.%llu",
			 (unsigned long long)i);
		name_in(l, name, path);
		while (access(path, F_OK) < 0)
			usleep(1000);
		(void)unlink(path);
	}
}

/* Their bytes; gone: and they are removed. */
static uint64_t images(const struct line *l, bool gone)
{
	static const char *const names[] = { "manifest", "test.meta",
					     "test.pages.0" };
	auto_close int fd = open(l->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(names); i++) {
		if (fstatat(fd, names[i], &st, 0) == 0)
			bytes += (uint64_t)st.st_size;
		if (gone)
			(void)unlinkat(fd, names[i], 0);
	}
	if (gone) {
		(void)rmdir(l->images);
		(void)syncfs(l->bench.dir_fd);
	}
	return bytes;
}

/* The images out of the page cache, as on another node; or into it. */
static void cool(const struct line *l)
{
	auto_free uint8_t *data = malloc(BLOCK);
	char path[700];
	int fd;

	snprintf(path, sizeof(path), "%s/test.pages.0", l->images);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !data)
		die(path, 0);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	while (l->warm && read(fd, data, BLOCK) > 0)
		;
	close(fd);
}

/* It is free when this returns, but no longer the host's. */
static void have_memory(uint64_t bytes)
{
	uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("memory", 0);
	if (madvise(p, bytes, MADV_POPULATE_WRITE) < 0)
		die("memory", 0);
	(void)munmap(p, bytes);
}

static void measure(const struct line *l, double ret[FIGURES])
{
	static struct drive_outcome o;
	char self[4096], mib[24], processes[24], go[600];
	char *argv[] = { self,
			 (char *)"--job",
			 (char *)l->dir,
			 mib,
			 (char *)l->kind,
			 processes,
			 (char *)(l->huge ? "huge" : "small"),
			 NULL };
	char *envp[] = { NULL };
	struct drive_place place = { 0 };
	struct drive_job *job;
	struct err err = { 0 };
	int status = -1;
	double bytes;

	if (!realpath("/proc/self/exe", self))
		die("this program", 0);
	snprintf(mib, sizeof(mib), "%llu", (unsigned long long)l->mib);
	snprintf(processes, sizeof(processes), "%llu",
		 (unsigned long long)l->processes);
	name_in(l, "go", go);
	if (drive_start(&place, argv, envp, &job, &err) < 0)
		die_of(&err);
	await_ready(l);
	if (drive_checkpoint(job, l->images, true, &o) < 0)
		die_of(&o.err);
	drive_end(job);
	bytes = (double)(find_kind(l->kind)->holes ? o.checkpoint.page_bytes
						   : l->mib << 20);
	ret[DUMP] = bytes / (double)o.checkpoint.durable_ns;
	ret[KILLABLE] = (double)o.checkpoint.pinned_ns / 1e6;
	ret[STORED] = (double)images(l, false) / bytes;
	ret[MEMORY] = (double)o.peak_rss_kb / 1024;

	cool(l);
	have_memory((l->mib << 20) + WORKERS_MEMORY);
	if (drive_restore(&place, l->images, &job, &o) < 0)
		die_of(&o.err);
	ret[RESTORE] = bytes / (double)o.restart.total_ns;
	if ((double)o.peak_rss_kb / 1024 > ret[MEMORY])
		ret[MEMORY] = (double)o.peak_rss_kb / 1024;
	close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	if (drive_wait(job, PATIENCE, &status, &err) < 0 || status != 0) {
		fprintf(stderr, "store: the restored job says %#x %s\n",
			(unsigned int)status, err.text);
		exit(1);
	}
	drive_end(job);
	(void)unlink(go);
	(void)images(l, true);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_line(const struct line *l, double v[FIGURES][RUNS],
		       unsigned int runs)
{
	double m[FIGURES];

	for (size_t i = 0; i < FIGURES; i++) {
		qsort(v[i], runs, sizeof(double), by_size);
		m[i] = v[i][runs / 2];
	}
	printf("%5llu %-6s %3llu %-5s %-4s %6.3g %6.3g %4.0f%% %7.0f %5.2f "
	       "%6.3g %6.3g %4.0f%% %5.0f\n",
	       (unsigned long long)l->mib, l->kind,
	       (unsigned long long)l->processes, l->huge ? "huge" : "small",
	       l->compression, m[WRITE], m[DUMP], 100 * m[DUMP_SHARE],
	       m[KILLABLE], m[STORED], m[READ], m[RESTORE],
	       100 * m[RESTORE_SHARE], m[MEMORY]);
	fflush(stdout);
}

static void limits(const struct line *l, double ret[FIGURES])
{
	ret[WRITE] = raw(&l->bench, true);
	ret[READ] = raw(&l->bench, false);
	clear(&l->bench);
}

static void run_line(struct line *l, const char *dir, const char *mib,
		     const char *processes, unsigned int runs)
{
	static const char *const policies[] = { "auto", "none", "lz4", "zstd" };
	double v[FIGURES][RUNS], now[FIGURES], next[FIGURES] = { 0 };

	if (parse_u64(mib, 1 << 20, &l->mib) < 0 || !l->mib ||
	    parse_u64(processes, 4096, &l->processes) < 0 || !l->processes ||
	    !find_kind(l->kind))
		die("bad argument", -EINVAL);
	bench_open(&l->bench, dir, l->mib << 20);
	for (unsigned int i = 0; i < ARRAY_SIZE(policies); i++)
		if (strcmp(l->compression, policies[i]) == 0)
			drive_compress((enum pack_policy)i);
	limits(l, next);
	for (unsigned int i = 0; i < runs; i++) {
		memcpy(now, next, sizeof(now));
		measure(l, now);
		limits(l, next);
		now[WRITE] = (now[WRITE] + next[WRITE]) / 2;
		now[READ] = (now[READ] + next[READ]) / 2;
		now[DUMP_SHARE] = now[DUMP] / now[WRITE];
		now[RESTORE_SHARE] = now[RESTORE] / now[READ];
		for (size_t k = 0; k < FIGURES; k++)
			v[k][i] = now[k];
	}
	bench_close(&l->bench);
	print_line(l, v, runs);
}

/* ---- what is asked for ----------------------------------------------------
 */

struct list {
	const char *v[LISTED + 1];
	size_t count;
};

static void add(struct list *l, const char *word)
{
	if (l->count < LISTED)
		l->v[l->count++] = word;
}

static const char *const *given(const struct list *l,
				const char *const *defaults)
{
	return l->count ? l->v : defaults;
}

/* Of the machine, by others, before each size; then the heads of columns. */
static void print_limits(const char *dir, const char *mib)
{
	struct bench b;
	uint64_t size;
	double write;

	if (parse_u64(mib, 1 << 20, &size) < 0 || !size)
		die("bad argument", -EINVAL);
	bench_open(&b, dir, size << 20);
	printf("memcpy %.3g", raw_copy());
	write = raw_of_fio(&b, dir, true);
	if (write > 0)
		printf(", fio: write %.3g, read %.3g", write,
		       raw_of_fio(&b, dir, false));
	puts("");
	clear(&b);
	bench_close(&b);
	puts("  MiB kind   pro pages pack  write   dump share killable "
	     "stored  read restore share memory");
	fflush(stdout);
}

static void run(const char *dir, struct list lists[4], bool huge, bool warm,
		unsigned int runs)
{
	static const char *const sizes[] = { "1024", NULL };
	static const char *const contents[] = { "random", "zeros", "field",
						NULL };
	static const char *const processes[] = { "1", "16", NULL };
	static const char *const policies[] = { "auto", NULL };
	const char *const *m, *const *k, *const *p, *const *c;
	struct line l = { .huge = huge, .warm = warm };

	snprintf(l.dir, sizeof(l.dir), "%.480s/store.XXXXXX", dir);
	if (!mkdtemp(l.dir))
		die(l.dir, 0);
	name_in(&l, "images", l.images);
	for (m = given(&lists[0], sizes); *m; m++) {
		print_limits(dir, *m);
		for (k = given(&lists[1], contents); *k; k++)
			for (p = given(&lists[2], processes); *p; p++)
				for (c = given(&lists[3], policies); *c; c++) {
					l.kind = *k;
					l.compression = *c;
					run_line(&l, dir, *m, *p, runs);
				}
	}
	(void)rmdir(l.dir);
}

int main(int argc, char **argv)
{
	static const char letters[] = "mkpc";
	struct list lists[4] = { 0 };
	uint64_t runs = 3;
	bool huge = false, warm = false;
	int c;

	if (argc == 7 && strcmp(argv[1], "--job") == 0)
		return job_main(argv + 1);
	while ((c = getopt(argc, argv, "n:m:k:p:c:Hw")) != -1)
		switch (c) {
		case 'n':
			if (parse_u64(optarg, RUNS, &runs) < 0 || !runs)
				return 2;
			break;
		case 'm':
		case 'k':
		case 'p':
		case 'c':
			add(&lists[strchr(letters, c) - letters], optarg);
			break;
		case 'H':
			huge = true;
			break;
		case 'w':
			warm = true;
			break;
		default:
			return 2;
		}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: store [OPTION...] DIRECTORY\n");
		return 2;
	}
	run(argv[optind], lists, huge, warm, (unsigned int)runs);
	return 0;
}
