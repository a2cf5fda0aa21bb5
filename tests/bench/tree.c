/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/drive.h"
#include "tests/lib/sample.h"
#include "util/clock.h"

/*
 * tree [DIRECTORY]: how long a tree of 64 processes with 4 threads each
 * stands still for a checkpoint, and how long its restore takes.  Prints;
 * never judges.
 */

#define RUNS      5
#define PROCESSES 64
#define THREADS   4
#define PATIENCE  (60 * NSEC_PER_SEC)

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* The job: this program again.  Each process writes a byte when complete. */
static int be_tree(void)
{
	pthread_t thread;
	unsigned int i;
	bool child = false;

	for (i = 1; i < PROCESSES && !child; i++)
		child = fork() == 0;
	for (i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, sleep_on, NULL))
			return 2;
	if (write(STDOUT_FILENO, ".", 1) != 1)
		return 2;
	sleep_on(NULL);
	return 0;
}

struct bench {
	char work[64], output[80], image[600];
	struct drive_place place;
};

static void die(const struct bench *b, const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	temp_dir_remove(b->image);
	temp_dir_remove(b->work);
	exit(1);
}

static struct drive_job *begin(const struct bench *b)
{
	uint64_t deadline = clock_monotonic_ns() + PATIENCE;
	char *argv[] = { (char *)"/proc/self/exe", (char *)"--tree", NULL };
	char self[4096], *env[] = { NULL };
	ssize_t n = readlink(argv[0], self, sizeof(self) - 1);
	struct drive_job *job;
	struct stat st;
	struct err err;

	self[n > 0 ? n : 0] = '\0';
	argv[0] = self;
	(void)unlink(b->output);
	if (drive_start(&b->place, argv, env, &job, &err) < 0)
		die(b, "start", err.text);
	while (stat(b->output, &st) < 0 || st.st_size < PROCESSES) {
		if (clock_monotonic_ns() > deadline)
			die(b, "start", "the tree is not complete in time");
		usleep(10000);
	}
	return job;
}

static void once(const struct bench *b, struct drive_outcome *saved,
		 struct drive_outcome *restored)
{
	struct drive_job *job = begin(b);

	if (drive_checkpoint(job, b->image, true, saved) < 0)
		die(b, "checkpoint", saved->err.text);
	drive_end(job);
	if (drive_restore(&b->place, b->image, &job, restored) < 0)
		die(b, "restore", restored->err.text);
	drive_end(job);
	temp_dir_remove(b->image);
	printf("%u processes, %u threads, %.1f MiB: frozen %.1f ms, "
	       "restored in %.1f ms\n",
	       saved->checkpoint.tasks, saved->checkpoint.threads,
	       (double)saved->checkpoint.page_bytes / 1048576,
	       (double)saved->checkpoint.frozen_ns / 1e6,
	       (double)restored->restart.total_ns / 1e6);
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

int main(int argc, char **argv)
{
	struct drive_outcome *o = calloc(2, sizeof(*o));
	struct bench b = { .place = { 0 } };
	int i, work_fd;

	if (argc == 2 && !strcmp(argv[1], "--tree"))
		return be_tree();
	find_puppet();
	work_fd = temp_dir(b.work);
	if (!o || work_fd < 0)
		return 1;
	close(work_fd);
	snprintf(b.output, sizeof(b.output), "%s/output", b.work);
	snprintf(b.image, sizeof(b.image), "%.500s/.jobcr-bench.%d",
		 argc > 1 ? argv[1] : b.work, getpid());
	b.place.cwd = b.work;
	b.place.output = b.output;
	for (i = 0; i < RUNS; i++)
		once(&b, &o[0], &o[1]);
	temp_dir_remove(b.work);
	free(o);
	return 0;
}
