/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that are only mapped: with a name, without one, shared by processes,
 * read-only although the file could be written, executed and then removed.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mapping.h"
#include "victim.h"

#define PAGES 20
#define RW    (PROT_READ | PROT_WRITE)

static char data[PAGES * PAGE];

static int make(const char *name)
{
	int fd = open(victim_path(name), O_RDWR | O_CREAT | O_TRUNC, 0644);

	pattern_fill(data, sizeof(data), 1);
	victim_need(fd >= 0 && write(fd, data, sizeof(data)) ==
				       (ssize_t)sizeof(data),
		    name);
	return fd;
}

static char *map(int fd, int prot, int flags)
{
	char *p = mmap(NULL, sizeof(data), prot, flags, fd, 0);

	victim_need(p != MAP_FAILED, "mmap");
	return p;
}

int main(void)
{
	char *named, *gone, *copy, *reader, *table;
	int fd, twin, status = -1;
	atomic_int *turn;
	struct stat st;
	char exe[4096] = "";
	pid_t pid;

	fd = make("named");
	named = map(fd, RW, MAP_SHARED);
	close(fd);
	fd = open(victim_path("named"), O_RDONLY);
	reader = map(fd, PROT_READ, MAP_SHARED);
	close(fd);

	fd = make("gone");
	gone = map(fd, RW, MAP_SHARED);
	copy = map(fd, RW, MAP_PRIVATE);
	pattern_fill(copy + 2 * PAGE, PAGE, 2);
	close(fd);
	unlink(victim_path("gone"));

	fd = make("table");
	table = map(fd, PROT_READ, MAP_PRIVATE);
	twin = fd;
	unlink(victim_path("table"));
	turn = (atomic_int *)gone;
	atomic_store(turn, 0);

	victim_need(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0,
		    "exe");
	/* A program that belongs to another user cannot be carried. */
	if (stat(exe, &st) == 0 && st.st_uid == geteuid())
		unlink(exe);
	pid = fork();
	if (pid == 0) {
		victim_wait_go();
		if (!victim_until(atomic_load(turn) == 1))
			_exit(1);
		gone[10 * PAGE] = 'c';
		atomic_store(turn, 2);
		_exit(pattern_holds(copy + 2 * PAGE, PAGE, 2) ? 0 : 2);
	}
	mappings_note();

	victim_wait();

	mappings_compare();
	named[0] = 'x';
	victim_check(reader[0] == 'x', "two mappings of a file differ");
	fd = open(victim_path("named"), O_RDONLY);
	victim_check(fd >= 0 && read(fd, data, 1) == 1 && data[0] == 'x',
		     "a shared mapping is not the file any more");
	victim_check(mprotect(reader, PAGE, RW) < 0,
		     "a file opened for reading can be written");
	victim_check(pattern_holds(gone + PAGE, 4088, 1) == false &&
			     memcmp(gone + PAGE, named + PAGE, 19 * PAGE) == 0,
		     "a removed file's data differ");
	victim_check(pattern_holds(copy + 2 * PAGE, PAGE, 2) &&
			     memcmp(copy + 3 * PAGE, named + 3 * PAGE,
				    17 * PAGE) == 0,
		     "a private mapping of a removed file differs");
	atomic_store(turn, 1);
	victim_check(victim_until(atomic_load(turn) == 2) &&
			     gone[10 * PAGE] == 'c' && copy[10 * PAGE] == 'c',
		     "a removed file is no longer shared");
	victim_check(pwrite(twin, "t", 1, 5 * PAGE) == 1 &&
			     table[5 * PAGE] == 't' && fstat(twin, &st) == 0 &&
			     st.st_nlink == 0,
		     "descriptor and mapping of a removed file differ");
	waitpid(pid, &status, 0);
	victim_verdict(status == 0, "mapped files are as they were");
}
