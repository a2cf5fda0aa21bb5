// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that the kernel has merged because they are alike (KSM), at the same
 * address in anonymous memory and in a private mapping of a file, where
 * zeroes were written over what the file has.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define LEN (64 * PAGE)
#define KSM "/sys/kernel/mm/ksm/"

/* The number behind a name in a file, or the first one. */
static long number_in(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			n = strtol(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

static bool is_merged(void)
{
	const char *stat = "/proc/self/ksm_stat";

	return number_in("/proc/self/ksm_merging_pages", "") >=
		       (long)(LEN / PAGE) ||
	       number_in(stat, "ksm_zero_pages") >= (long)(LEN / PAGE);
}

static void wait_merged(void)
{
	if (!victim_until(is_merged()))
		victim_skip("the kernel merges no pages of this process");
}

static char *map_file(void)
{
	int fd = open(victim_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char page[PAGE], *at;

	memset(page, 'f', PAGE);
	for (unsigned int i = 0; i < LEN / PAGE; i++)
		victim_need(write(fd, page, PAGE) == PAGE, "file");
	at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	victim_need(at != MAP_FAILED, "map file");
	close(fd);
	memset(at, 0, LEN);
	return at;
}

static void check_zero(const char *at, const char *who)
{
	victim_check(all_zero(at, LEN), "%s: not zero but %#x", who, *at);
}

int main(void)
{
	int pipe_fds[2], status;
	char *at, done = 0;
	pid_t pid;

	if (number_in(KSM "run", "") != 1)
		victim_skip("KSM does not run");
	victim_need(pipe(pipe_fds) == 0, "pipe");
	at = map_file();
	pid = fork();
	victim_need(pid >= 0, "fork");
	if (pid == 0) {
		madvise(at, LEN, MADV_MERGEABLE);
		wait_merged();
		victim_need(write(pipe_fds[1], &done, 1) == 1, "tell");
		victim_wait_go();
		check_zero(at, "over the file");
		_exit(0);
	}
	at = mmap(at, LEN, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(at, 1, LEN);
	memset(at, 0, LEN);
	madvise(at, LEN, MADV_MERGEABLE);
	wait_merged();
	victim_need(read(pipe_fds[0], &done, 1) == 1, "hear");

	victim_wait();

	check_zero(at, "anonymous");
	waitpid(pid, &status, 0);
	victim_verdict(true, "merged pages of zeroes are zeroes");
}
