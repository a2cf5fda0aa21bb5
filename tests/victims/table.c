/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A descriptor table with gaps, high numbers, duplicates and flags of every
 * mixture, in two processes that share open files; and nothing else in it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define FILES 600
#define HIGH  900

/* What is at n: 0 nothing, else the position of its open file plus one. */
static int wanted(int n)
{
	if (n < 3 || (n >= FILES && n != HIGH))
		return 0;
	if (n == HIGH)
		return 3 + 1;
	/* Every fifth is a duplicate of the one before. */
	if (n % 7 == 4)
		return 0;
	return (n % 5 == 2 ? n - 1 : n) + 1;
}

static bool wanted_cloexec(int n)
{
	return n % 3 == 0;
}

static void set_up(void)
{
	for (int n = 3; n < FILES; n++) {
		int fd = open("/proc/self/exe", O_RDONLY);

		victim_need(fd == n && lseek(fd, n, SEEK_SET) == n, "open");
		if (n % 5 == 2)
			victim_need(dup2(n - 1, n) == n, "dup2");
		if (wanted_cloexec(n))
			victim_need(fcntl(n, F_SETFD, FD_CLOEXEC) == 0,
				    "cloexec");
	}
	victim_need(dup3(3, HIGH, O_CLOEXEC) == HIGH, "dup3");
	for (int n = 3; n < FILES; n++)
		if (n % 7 == 4)
			close(n);
}

static void check_one(const char *who, int n)
{
	int flags = fcntl(n, F_GETFD), want = wanted(n);

	if (!want) {
		victim_check(flags < 0, "%s: %d is open", who, n);
		return;
	}
	victim_check(flags == (wanted_cloexec(n) ? FD_CLOEXEC : 0),
		     "%s: %d: flags %d", who, n, flags);
	victim_check(lseek(n, 0, SEEK_CUR) == want - 1, "%s: %d: position %ld",
		     who, n, (long)lseek(n, 0, SEEK_CUR));
}

static void check_all(const char *who)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int n;

	victim_need(dir != NULL, "/proc/self/fd");
	for (n = 3; n <= HIGH; n++)
		if (n != dirfd(dir))
			check_one(who, n);
	while ((e = readdir(dir))) {
		n = atoi(e->d_name);
		victim_check(n <= 2 || n == dirfd(dir) || wanted(n),
			     "%s: %d is open", who, n);
	}
	closedir(dir);
}

int main(void)
{
	struct rlimit limit;
	pid_t child;

	victim_need(getrlimit(RLIMIT_NOFILE, &limit) == 0, "limit");
	limit.rlim_cur = HIGH + 1; /* as tight as can be */
	victim_need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "limit");
	set_up();
	child = fork();
	victim_need(child >= 0, "fork");
	if (child == 0) {
		victim_wait_go();
		check_all("child");
		victim_until(access(victim_path("checked"), F_OK) == 0);
		lseek(100, 12345, SEEK_SET);
		_exit(0);
	}

	victim_wait();

	check_all("parent");
	close(creat(victim_path("checked"), 0600));
	victim_need(waitpid(child, NULL, 0) == child, "wait");
	victim_check(lseek(100, 0, SEEK_CUR) == 12345,
		     "parent and child do not share an open file");
	victim_verdict(true, "descriptors are where they were");
}
