/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job of 1 GiB is checkpointed, killed and restored: rates of the pages,
 * beside what the disk does in the same minute, how long the job stood still,
 * after what time it might have been killed by others, beside what a plain
 * copy of its memory takes, and how much memory the worker took.  Once it is
 * killed by others as soon as it may.  Prints; never judges.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"
#include "limit.h"
#include "util/clock.h"
#include "util/io.h"

#define PATIENCE (60 * NSEC_PER_SEC)

static uint64_t word(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

/* The job: fill, say so, wait for the directory to get a "go", check. */
static int job_main(const char *dir, uint64_t bytes, bool huge)
{
	uint64_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || chdir(dir) < 0)
		return 2;
	if (huge)
		(void)madvise(p, bytes, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < bytes / 8; i++)
		p[i] = word(i);
	close(open("ready", O_CREAT | O_WRONLY, 0644));
	while (access("go", F_OK) < 0)
		usleep(1000);
	for (uint64_t i = 0; i < bytes / 8; i++)
		if (p[i] != word(i))
			return 1;
	return 0;
}

struct round {
	struct bench *bench;
	char dir[512], images[600], file[600];
	char *argv[6];
	double dump, fill, pause_ms, pinned_ms, restore_ms;
	bool doomed; /* killed by others */
	uint64_t rss_kb;
};

static void path(struct round *r, const char *name)
{
	snprintf(r->file, sizeof(r->file), "%s/%s", r->dir, name);
}

static void remove_images(struct round *r)
{
	static const char *const names[] = { "manifest", "test.meta",
					     "test.pages.0" };
	int fd = open(r->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < 3; i++)
		(void)unlinkat(fd, names[i], 0);
	if (fd >= 0)
		close(fd);
	(void)rmdir(r->images);
	(void)syncfs(r->bench->dir_fd);
}

static void measure(struct round *r)
{
	static struct drive_outcome o;
	struct drive_place place = { 0 };
	struct drive_job *job;
	struct err err = { 0 };
	char *envp[] = { NULL };
	int status = -1;

	if (drive_start(&place, r->argv, envp, &job, &err) < 0)
		die_of(&err);
	path(r, "ready");
	while (access(r->file, F_OK) < 0)
		usleep(1000);
	(void)unlink(r->file);
	if ((r->doomed ? drive_checkpoint_doomed(job, r->images, &o)
		       : drive_checkpoint(job, r->images, true, &o)) < 0)
		die_of(&o.err);
	drive_end(job);
	/* All of it: from the first stop until the manifest is durable. */
	r->dump = (double)o.checkpoint.page_bytes /
		  (double)o.checkpoint.frozen_ns;
	r->pause_ms = (double)o.checkpoint.frozen_ns / 1e6;
	r->pinned_ms = (double)o.checkpoint.pinned_ns / 1e6;
	r->rss_kb = o.peak_rss_kb;

	if (drive_restore(&place, r->images, &job, &o) < 0)
		die_of(&o.err);
	r->fill = (double)o.restart.page_bytes / (double)o.restart.total_ns;
	r->restore_ms = (double)o.restart.total_ns / 1e6;
	if (o.peak_rss_kb > r->rss_kb)
		r->rss_kb = o.peak_rss_kb;
	path(r, "go");
	close(open(r->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	if (drive_wait(job, PATIENCE, &status, &err) < 0 || status != 0) {
		fprintf(stderr, "onegig: the restored job says %#x %s\n",
			(unsigned int)status, err.text);
		exit(1);
	}
	drive_end(job);
	(void)unlink(r->file);
	remove_images(r);
}

static int by_time(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void show_ms(const char *what, double times[RUNS])
{
	qsort(times, RUNS, sizeof(*times), by_time);
	printf("%-34s %6.1f ms    [%.1f..%.1f]\n", what, times[RUNS / 2],
	       times[0], times[RUNS - 1]);
}

/* What one thread needs to copy as much memory, in pieces that fit a cache. */
static double copy_ms(uint64_t bytes, bool huge)
{
	const size_t piece = 1u << 20;
	uint8_t *from = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *to = malloc(piece);
	uint64_t start;

	if (from == MAP_FAILED || !to)
		die("memory to copy", 0);
	if (huge)
		(void)madvise(from, bytes, MADV_HUGEPAGE);
	memset(from, 1, bytes);
	memset(to, 1, piece);
	start = clock_monotonic_ns();
	for (uint64_t i = 0; i < bytes; i += piece) {
		memcpy(to, from + i, piece);
		/* Else nobody would need the copies. */
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	start = clock_monotonic_ns() - start;
	(void)munmap(from, bytes);
	free(to);
	return (double)start / 1e6;
}

static void run(struct bench *b, const char *dir, const char *mib, bool huge)
{
	double dump[RUNS], fill[RUNS], pause[RUNS], back[RUNS];
	double pinned[RUNS], copy[RUNS];
	double writes[RUNS], reads[RUNS], limit;
	struct round r = { .bench = b };
	uint64_t rss = 0;

	snprintf(r.dir, sizeof(r.dir), "%s", dir);
	path(&r, "images");
	snprintf(r.images, sizeof(r.images), "%s", r.file);
	r.argv[0] = realpath("/proc/self/exe", NULL);
	r.argv[1] = (char *)"--job";
	r.argv[2] = r.dir;
	r.argv[3] = (char *)mib;
	r.argv[4] = (char *)(huge ? "huge" : "small");
	for (int i = 0; i < RUNS; i++) {
		writes[i] = raw(b, true);
		reads[i] = raw(b, false);
		clear(b);
		measure(&r);
		dump[i] = r.dump;
		fill[i] = r.fill;
		pause[i] = r.pause_ms;
		pinned[i] = r.pinned_ms;
		copy[i] = copy_ms(b->bytes, huge);
		back[i] = r.restore_ms;
		if (r.rss_kb > rss)
			rss = r.rss_kb;
	}
	r.doomed = true;
	measure(&r);
	printf("%s MiB in %s pages\n", mib, huge ? "huge" : "small");
	limit = show("O_DIRECT write, with fsync: limit", writes, 0);
	show("  whole dump", dump, limit);
	limit = show("O_DIRECT read: limit", reads, 0);
	show("  whole restore", fill, limit);
	show_ms("memcpy of as much: limit of a copy", copy);
	show_ms("until it may be killed", pinned);
	printf("%-34s %6.1f ms    restored whole\n", "  killed then",
	       r.pinned_ms);
	show_ms("pause until durable", pause);
	show_ms("restore", back);
	printf("%-34s %6.0f MiB\n", "worker's memory, at most",
	       (double)rss / 1024);
}

int main(int argc, char **argv)
{
	const char *size = argc > 2 ? argv[2] : "1024";
	char dir[512];
	struct bench b;
	uint64_t mib;

	if (argc == 5 && strcmp(argv[1], "--job") == 0 &&
	    parse_u64(argv[3], 1 << 20, &mib) == 0)
		return job_main(argv[2], mib << 20,
				strcmp(argv[4], "huge") == 0);
	if (argc < 2 || argc > 3 || parse_u64(size, 1 << 20, &mib) < 0 ||
	    !mib) {
		fprintf(stderr, "usage: onegig DIRECTORY [MIB]\n");
		return 2;
	}
	bench_open(&b, argv[1], mib << 20);
	snprintf(dir, sizeof(dir), "%s/onegig.XXXXXX", argv[1]);
	if (!mkdtemp(dir))
		die(dir, 0);
	run(&b, dir, size, false);
	run(&b, dir, size, true);
	clear(&b);
	(void)rmdir(dir);
	return 0;
}
