/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hugepages SMALL LARGE PROGRAM [ARG...]
 *
 * Runs a program on a node that has so many more huge pages of 2 MiB and of
 * 1 GiB, as far as it can have them, and a hugetlbfs at $HUGE_DIR in a mount
 * namespace of its own.  The pages are given back however it ends: another
 * process waits for the end of this one, also by SIGKILL.  All is counted
 * from what is there, so that tests may do so side by side.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK "/tmp/jobcr-hugepages.lock"

static const char *const pools[] = { "2048", "1048576" };
static long added[2];

static long read_pool(const char *pool, const char *name)
{
	char path[128];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%skB/%s", pool, name);
	f = fopen(path, "re");
	if (f && fscanf(f, "%ld", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

static long pool_size(const char *pool)
{
	return read_pool(pool, "nr_hugepages") -
	       read_pool(pool, "surplus_hugepages");
}

/* By so many as the node can; returns how many it were. */
static long change_pool(const char *pool, long by)
{
	long before = pool_size(pool);
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%skB/nr_hugepages", pool);
	f = before < 0 || by == 0 ? NULL : fopen(path, "we");
	if (!f)
		return 0;
	fprintf(f, "%ld\n", before + by < 0 ? 0 : before + by);
	fclose(f);
	return pool_size(pool) - before;
}

static void change_pools(const long by[2], long ret[2])
{
	int lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (lock >= 0)
		while (flock(lock, LOCK_EX) < 0 && errno == EINTR)
			;
	for (int i = 0; i < 2; i++)
		ret[i] = change_pool(pools[i], by[i]);
	if (lock >= 0)
		close(lock);
}

/* Its end of the pipe is closed when the others have ended. */
static void guard(int fd, const char *dir)
{
	const long by[2] = { -added[0], -added[1] };
	long unused[2];
	char c;

	setsid();
	for (int i = 1; i < 32; i++)
		signal(i, SIG_IGN);
	for (int i = 0; i < 3; i++)
		close(i);
	while (read(fd, &c, 1) < 0 && errno == EINTR)
		;
	change_pools(by, unused);
	rmdir(dir);
	_exit(0);
}

static int mount_pages(const char *dir)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "hugetlbfs", 0, "mode=1777,pagesize=2M") < 0)
		return -1;
	return setenv("HUGE_DIR", dir, 1);
}

static int run(char **argv, const char *dir)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (mount_pages(dir) < 0)
			perror("hugetlbfs");
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/jobcr-hugepages.XXXXXX";
	int fds[2], result, status;
	long want[2];
	pid_t pid;

	if (argc < 4 || !mkdtemp(dir) || pipe2(fds, O_CLOEXEC) < 0)
		return 2;
	want[0] = atol(argv[1]);
	want[1] = atol(argv[2]);
	change_pools(want, added);
	pid = fork();
	if (pid == 0) {
		close(fds[1]);
		guard(fds[0], dir);
	}
	close(fds[0]);
	result = run(argv + 3, dir);
	close(fds[1]);
	waitpid(pid, &status, 0);
	return pid < 0 ? 99 : result;
}
