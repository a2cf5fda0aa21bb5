// SPDX-License-Identifier: GPL-2.0-or-later
/* POSIX, flock and open-file locks, seen by a process that wants them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static struct flock range(short type, off_t start, off_t len)
{
	return (struct flock){ .l_type = type,
			       .l_whence = SEEK_SET,
			       .l_start = start,
			       .l_len = len };
}

static int make(const char *name)
{
	int fd = open(victim_path(name), O_RDWR | O_CREAT | O_EXCL, 0600);

	victim_need(fd >= 0, name);
	return fd;
}

/* Who holds [start, start + len) so that type cannot be had? */
static pid_t holder(int fd, int command, short type, off_t start, off_t len)
{
	struct flock l = range(type, start, len);

	if (fcntl(fd, command, &l) < 0)
		return -2;
	return l.l_type == F_UNLCK ? 0 : l.l_pid;
}

/* A process without locks of its own asks. */
static int ask(pid_t parent, pid_t child)
{
	int posix = open(victim_path("posix"), O_RDWR);
	int ofd = open(victim_path("ofd"), O_RDWR);
	int whole = open(victim_path("flock"), O_RDWR);
	int dir = open(victim_path("directory"), O_RDONLY | O_DIRECTORY);

	victim_check(holder(posix, F_GETLK, F_RDLCK, 10, 1) == parent,
		     "bytes 10-19 are locked for writing by the parent");
	victim_check(holder(posix, F_GETLK, F_RDLCK, 20, 1) == 0,
		     "byte 20 is free");
	victim_check(holder(posix, F_GETLK, F_WRLCK, 100, 5) == parent &&
			     holder(posix, F_GETLK, F_RDLCK, 100, 5) == 0,
		     "bytes from 100 are locked for reading");
	victim_check(holder(posix, F_GETLK, F_WRLCK, 1ll << 40, 1) == parent,
		     "and to the end of all");
	victim_check(holder(posix, F_GETLK, F_RDLCK, 50, 1) == child,
		     "byte 50 is locked by the child");
	victim_check(holder(ofd, F_OFD_GETLK, F_RDLCK, 3, 4) == -1,
		     "an open-file lock is held");
	victim_check(flock(whole, LOCK_EX | LOCK_NB) < 0 &&
			     errno == EWOULDBLOCK &&
			     flock(whole, LOCK_SH | LOCK_NB) == 0,
		     "flock is held, and shared");
	victim_check(dir >= 0 && flock(dir, LOCK_SH | LOCK_NB) < 0 &&
			     errno == EWOULDBLOCK,
		     "flock of a directory is held");
	return 0;
}

/* Each waits for a lock that the parent has, and says when it has it. */
static pid_t start_waiting(bool flock_it, int tell)
{
	struct flock all = range(F_WRLCK, 0, 0);
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	fd = open(victim_path("waited"), O_RDWR);
	if (flock_it ? flock(fd, LOCK_EX) : fcntl(fd, F_SETLKW, &all))
		victim_check(false, "a lock that was waited for: %s",
			     strerror(errno));
	else
		victim_check(write(tell, "x", 1) == 1, "tell");
	_exit(0);
}

/* There is nothing else that it sleeps for. */
static bool sleeps(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(f);
	}
	return state == 'S';
}

static void check_waiting(int waited, const pid_t waits[2], int told)
{
	struct flock none = range(F_UNLCK, 0, 0);
	struct pollfd p = { .fd = told, .events = POLLIN };
	int status;
	char byte;

	victim_check(poll(&p, 1, 100) == 0, "nobody has what is locked");
	victim_check(flock(waited, LOCK_UN) == 0 && read(told, &byte, 1) == 1 &&
			     waitpid(waits[0], &status, 0) == waits[0] &&
			     status == 0,
		     "who waits for a flock gets it");
	victim_check(poll(&p, 1, 100) == 0, "and nobody else");
	victim_check(fcntl(waited, F_SETLK, &none) == 0 &&
			     read(told, &byte, 1) == 1 &&
			     waitpid(waits[1], &status, 0) == waits[1] &&
			     status == 0,
		     "who waits for a lock of bytes gets it");
}

int main(void)
{
	struct flock all = range(F_WRLCK, 0, 0);
	int waited = make("waited"), told[2];
	pid_t waits[2];
	struct flock a = range(F_WRLCK, 10, 10), b = range(F_RDLCK, 100, 0);
	struct flock c = range(F_WRLCK, 3, 4), d = range(F_WRLCK, 50, 1);
	int posix = make("posix"), ofd = make("ofd"), whole = make("flock");
	int ready[2], status;
	pid_t child, asker;
	char byte;

	victim_need(fcntl(posix, F_SETLK, &a) == 0 &&
			    fcntl(posix, F_SETLK, &b) == 0 &&
			    fcntl(ofd, F_OFD_SETLK, &c) == 0 &&
			    flock(whole, LOCK_SH) == 0 && pipe(ready) == 0,
		    "locks");
	victim_need(mkdir(victim_path("directory"), 0700) == 0 &&
			    flock(open(victim_path("directory"), O_RDONLY),
				  LOCK_EX) == 0,
		    "lock of a directory");
	child = fork();
	if (child == 0) {
		victim_need(fcntl(posix, F_SETLK, &d) == 0 &&
				    write(ready[1], "x", 1) == 1,
			    "the child's lock");
		for (;;)
			pause();
	}
	victim_need(read(ready[0], &byte, 1) == 1, "child");
	victim_need(flock(waited, LOCK_EX) == 0 &&
			    fcntl(waited, F_SETLK, &all) == 0 && !pipe(told),
		    "locks to wait for");
	for (int i = 0; i < 2; i++) {
		waits[i] = start_waiting(i == 0, told[1]);
		victim_need(victim_until(sleeps(waits[i])), "waits");
	}

	victim_wait();

	asker = fork();
	if (asker == 0)
		_exit(ask(getppid(), child));
	victim_need(waitpid(asker, &status, 0) == asker && status == 0,
		    "asker");
	check_waiting(waited, waits, told[0]);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	victim_verdict(true, "locks are held as before");
}
