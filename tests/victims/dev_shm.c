/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared memory and semaphores with a name: files in /dev/shm. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"
#include "mapping.h"

#define PAGES 600

/* With the name of the directory, so that no two victims have the same. */
static const char *named(const char *what)
{
	static char name[4][128];
	static int next;
	const char *dir = strstr(victim_path("."), "jobcr-victim");
	char *ret = name[next++ % 4];

	snprintf(ret, sizeof(name[0]), "/%.*s-%s", (int)strcspn(dir, "/"), dir,
		 what);
	return ret;
}

static char *map(int fd, size_t pages, int prot)
{
	char *p = mmap(NULL, pages * PAGE, prot, MAP_SHARED, fd, 0);

	victim_need(p != MAP_FAILED, "mmap");
	return p;
}

/* Knows it by its name only. */
static int child(sem_t *begin, sem_t *done)
{
	int fd, status = 0;
	char *all;

	while (sem_wait(begin) < 0)
		if (errno != EINTR)
			return 1;
	fd = shm_open(named("all"), O_RDWR, 0);
	all = fd < 0 ? MAP_FAILED : map(fd, PAGES, PROT_READ | PROT_WRITE);
	if (all == MAP_FAILED)
		return 2;
	status = !pattern_holds(all + 100 * PAGE, PAGE, 7);
	pattern_fill(all + 101 * PAGE, PAGE, 8);
	return sem_post(done) < 0 || status;
}

static void check_stat(int fd, unsigned int mode, off_t size,
		       unsigned int links, const char *what)
{
	struct stat st = { 0 };

	victim_check(fstat(fd, &st) == 0 && (st.st_mode & 07777) == mode &&
			     st.st_size == size && st.st_uid == getuid() &&
			     st.st_gid == getgid() && st.st_nlink == links,
		     "%s: mode %o, %lld bytes, %u names", what, st.st_mode,
		     (long long)st.st_size, (unsigned int)st.st_nlink);
}

int main(void)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL;
	int all_fd = shm_open(named("all"), flags, 0640);
	int secret = shm_open(named("secret"), flags, 0600);
	int gone = shm_open(named("gone"), flags, 0600), again, status = -1;
	sem_t *begin = sem_open(named("begin"), O_CREAT | O_EXCL, 0600, 0);
	sem_t *done = sem_open(named("done"), O_CREAT | O_EXCL, 0600, 3);
	struct stat before = { 0 }, after = { 0 };
	char *all, *reader, *gone_at, text[8] = "";
	int value = -1;
	pid_t pid;

	victim_need(all_fd >= 0 && secret >= 0 && gone >= 0, "shm_open");
	victim_need(begin != SEM_FAILED && done != SEM_FAILED, "sem_open");
	victim_need(ftruncate(all_fd, PAGES * PAGE) == 0 &&
			    ftruncate(gone, PAGE) == 0,
		    "ftruncate");
	all = map(all_fd, PAGES, PROT_READ | PROT_WRITE);
	reader = map(all_fd, PAGES, PROT_READ);
	gone_at = map(gone, 1, PROT_READ | PROT_WRITE);
	pattern_fill(all, 50 * PAGE, 1);
	pattern_fill(all + 550 * PAGE, 50 * PAGE, 2);
	pattern_fill(gone_at, PAGE, 3);
	shm_unlink(named("gone"));
	/* Its size is no multiple of a page; nobody may open it now. */
	victim_need(write(secret, "secret!", 7) == 7 &&
			    fchmod(secret, 0) == 0 &&
			    fstat(secret, &before) == 0,
		    "secret");
	close(all_fd);
	pid = fork();
	if (pid == 0)
		_exit(child(begin, done));

	victim_wait();

	victim_check(pattern_holds(all, 50 * PAGE, 1) &&
			     all_zero(all + 50 * PAGE, 500 * PAGE) &&
			     pattern_holds(all + 550 * PAGE, 50 * PAGE, 2) &&
			     pattern_holds(reader, 50 * PAGE, 1),
		     "contents differ");
	all_fd = shm_open(named("all"), O_RDWR, 0);
	check_stat(all_fd, 0640, PAGES * PAGE, 1, "the shared one");
	check_stat(secret, 0, 7, 1, "the secret one");
	check_stat(gone, 0600, PAGE, 0, "the unlinked one");
	victim_check(pread(secret, text, 8, 0) == 7 &&
			     !memcmp(text, "secret!", 7) &&
			     write(secret, "?", 1) == 1 &&
			     pread(secret, text, 8, 0) == 8 && text[7] == '?',
		     "the secret one differs");
	victim_check(fstat(secret, &after) == 0 &&
			     lseek(secret, 0, SEEK_CUR) == 8,
		     "its position differs");
	victim_check(pattern_holds(gone_at, PAGE, 3), "the unlinked one");
	again = shm_open(named("gone"), O_RDWR, 0);
	victim_check(again < 0 && errno == ENOENT,
		     "the unlinked one has a name again");
	victim_check(sem_getvalue(done, &value) == 0 && value == 3,
		     "a semaphore is %d, not 3", value);
	pattern_fill(all + 100 * PAGE, PAGE, 7);
	victim_check(reader[100 * PAGE + 8] == all[100 * PAGE + 8],
		     "two mappings are not the same file");
	sem_post(begin);
	waitpid(pid, &status, 0);
	victim_check(status == 0, "the child failed");
	victim_check(pattern_holds(all + 101 * PAGE, PAGE, 8),
		     "who opened it by its name has another");
	victim_check(sem_getvalue(done, &value) == 0 && value == 4,
		     "the semaphore is another one");
	victim_verdict(shm_unlink(named("all")) == 0 &&
			       shm_unlink(named("secret")) == 0 &&
			       sem_unlink(named("begin")) == 0 &&
			       sem_unlink(named("done")) == 0,
		       "shared memory with names is as it was");
}
