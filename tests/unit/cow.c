/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What restoring pages that are shared in many small pieces takes: what is
 * read does not grow with the number of pieces, nor memory with the square of
 * the depth of the tree.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/drive.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PATIENCE (60 * NSEC_PER_SEC)
#define PAGE     4096ul
#define PIECES   2000ul

static char dir[64];

/* Every other page: what lies between is each one's own, or was never there. */
static void touch(char *at, size_t first)
{
	for (size_t i = first; i < 2 * PIECES; i += 2)
		memset(at + i * PAGE, (int)(i % 255) + 1, PAGE);
}

static int job_main(unsigned int depth)
{
	char *at = mmap(NULL, 2 * PIECES * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid = 0;

	if (at == MAP_FAILED)
		return 2;
	touch(at, 0);
	if (depth == 2)
		touch(at, 1);
	for (unsigned int i = 1; i < depth && pid == 0; i++)
		pid = fork();
	if (depth == 2)
		touch(at, 1);
	if (pid < 0 || write(STDOUT_FILENO, ".", 1) != 1)
		return 2;
	for (;;)
		pause();
}

static bool begin(const char *depth, struct drive_job **ret)
{
	uint64_t deadline = clock_monotonic_ns() + PATIENCE;
	char self[4096], output[80], *env[] = { NULL };
	char *argv[] = { self, (char *)"--job", (char *)(uintptr_t)depth,
			 NULL };
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct drive_place place = { .cwd = dir, .output = output };
	struct err err = { 0 };
	struct stat st;

	self[len > 0 ? len : 0] = '\0';
	snprintf(output, sizeof(output), "%s/%s", dir, depth);
	if (drive_start(&place, argv, env, ret, &err) < 0) {
		ok(false, "start: %s", err.text);
		return false;
	}
	while (stat(output, &st) < 0 || st.st_size < atoi(depth)) {
		if (clock_monotonic_ns() > deadline)
			return ok(false, "the tree is not complete");
		usleep(10000);
	}
	return true;
}

static bool round_trip(const char *depth, struct drive_outcome *saved,
		       struct drive_outcome *restored)
{
	const struct drive_place place = { .cwd = dir };
	struct drive_job *job = NULL;
	char images[80];

	snprintf(images, sizeof(images), "%s/images-%s", dir, depth);
	if (!begin(depth, &job))
		return false;
	if (drive_checkpoint(job, images, true, saved) < 0)
		return ok(false, "checkpoint: %s", saved->err.text);
	drive_end(job);
	if (drive_restore(&place, images, &job, restored) < 0)
		return ok(false, "restore: %s", restored->err.text);
	drive_end(job);
	return true;
}

int main(int argc, char **argv)
{
	struct drive_outcome *o = calloc(2, sizeof(*o));
	auto_close int dir_fd = -EBADF;

	if (argc == 3 && strcmp(argv[1], "--job") == 0)
		return job_main((unsigned int)atoi(argv[2]));
	if (geteuid() != 0)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	if (!o || dir_fd < 0)
		return 1;
	if (round_trip("2", &o[0], &o[1]))
		ok(o[1].restart.page_bytes <= 3 * o[0].checkpoint.page_bytes,
		   "%llu bytes in %lu pieces: %llu are read",
		   (unsigned long long)o[0].checkpoint.page_bytes, PIECES,
		   (unsigned long long)o[1].restart.page_bytes);
	if (round_trip("80", &o[0], &o[1]))
		ok(o[1].peak_rss_kb < 100 * 1024,
		   "80 generations: the worker takes %llu KiB",
		   (unsigned long long)o[1].peak_rss_kb);
	free(o);
	temp_dir_remove(dir);
	return done_testing();
}
