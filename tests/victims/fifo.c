// SPDX-License-Identifier: GPL-2.0-or-later
/* Fifos that were removed while they were open, with what waits in them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

enum { READ, WRITE };

static void make(const char *name, mode_t mode, int ends[2])
{
	const char *path = victim_path(name);

	victim_need(mkfifo(path, 0600) == 0 && chmod(path, mode) == 0, name);
	ends[READ] = open(path, O_RDONLY | O_NONBLOCK);
	ends[WRITE] = open(path, O_WRONLY);
	victim_need(ends[READ] >= 0 && ends[WRITE] >= 0 && unlink(path) == 0,
		    name);
}

static void check(int fd, mode_t mode, const char *what)
{
	struct stat st = { 0 };

	victim_check(fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
			     (st.st_mode & 07777) == mode && !st.st_nlink &&
			     st.st_uid == geteuid(),
		     "%s: mode %o, %u names, user %u", what, st.st_mode,
		     (unsigned int)st.st_nlink, (unsigned int)st.st_uid);
}

static void take(int fd, const char *text, const char *what)
{
	char buf[64] = "";
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	victim_check(n == (ssize_t)strlen(text) && !strcmp(buf, text),
		     "%s: \"%s\" (%zd)", what, buf, n);
}

/* A reader alone: until somebody has written nothing has ended. */
static int make_reader(const char *name)
{
	const char *path = victim_path(name);
	int fd;

	victim_need(mkfifo(path, 0600) == 0, name);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	victim_need(fd >= 0, name);
	return fd;
}

static short events(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void visit(const char *name)
{
	int fd = open(victim_path(name), O_WRONLY | O_NONBLOCK);

	victim_need(fd >= 0 && close(fd) == 0, name);
}

static void check_reader(int fd, short expect, const char *what)
{
	victim_check(events(fd) == expect, "%s: events %#x, not %#x", what,
		     (unsigned int)events(fd), (unsigned int)expect);
}

/* Another process writes what this one is to read. */
static int child(const int ends[2])
{
	victim_wait_go();
	return write(ends[WRITE], "later", 5) != 5;
}

int main(void)
{
	int plain[2], lost[2], replaced[2], shared[2], alone[2], other;
	int fresh, visited, nameless;
	struct pollfd p = { .events = POLLIN };
	char path[256], buf[8];
	struct stat st;
	int status = -1;
	pid_t pid;

	make("plain", 0600, plain);
	make("replaced", 0640, replaced);
	make("shared", 0600, shared);
	make("alone", 0600, alone);
	victim_need(mkdir(victim_path("directory"), 0700) == 0, "mkdir");
	make("directory/lost", 0606, lost);
	victim_need(rmdir(victim_path("directory")) == 0, "rmdir");
	strcpy(path, victim_path("replaced"));
	other = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	victim_need(write(other, "file", 4) == 4 && close(other) == 0, "file");
	victim_need(write(plain[WRITE], "waits", 5) == 5 &&
			    write(lost[WRITE], "as well", 7) == 7 &&
			    fcntl(lost[WRITE], F_SETPIPE_SZ, 1 << 16) > 0 &&
			    fcntl(plain[WRITE], F_SETPIPE_SZ, 1 << 13) ==
				    1 << 13,
		    "contents");
	close(alone[READ]);
	fresh = make_reader("fresh");
	nameless = make_reader("nameless");
	visited = make_reader("visited");
	visit("visited");
	victim_need(events(fresh) == 0 && events(nameless) == 0 &&
			    events(visited) == POLLHUP &&
			    unlink(victim_path("nameless")) == 0,
		    "readers");
	pid = fork();
	if (pid == 0)
		_exit(child(shared));

	victim_wait();

	check(plain[READ], 0600, "removed");
	check(lost[WRITE], 0606, "with its directory");
	check(replaced[READ], 0640, "replaced by a file");
	take(plain[READ], "waits", "removed");
	take(lost[READ], "as well", "with its directory");
	victim_check(fcntl(plain[READ], F_GETPIPE_SZ) == 1 << 13,
		     "its size is %d", fcntl(plain[READ], F_GETPIPE_SZ));
	victim_check(read(replaced[READ], buf, 1) < 0 && errno == EAGAIN,
		     "it is not empty");
	victim_check(write(replaced[WRITE], "on", 2) == 2, "it takes nothing");
	take(replaced[READ], "on", "both ends");
	victim_check(stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
			     st.st_size == 4,
		     "the file at its path has changed");
	victim_check(access(victim_path("plain"), F_OK) < 0 &&
			     access(victim_path("shared"), F_OK) < 0,
		     "a removed fifo has a name again");
	p.fd = alone[WRITE];
	p.events = POLLOUT;
	victim_check(poll(&p, 1, 0) == 1 && (p.revents & POLLERR),
		     "one without a reader has one: %#x", p.revents);
	check_reader(fresh, 0, "nobody has written");
	check_reader(nameless, 0, "nobody will ever write");
	check_reader(visited, POLLHUP, "somebody has written");
	visit("fresh");
	check_reader(fresh, POLLHUP, "and now somebody has");
	victim_check(fcntl(fresh, F_GETFL) == fcntl(visited, F_GETFL),
		     "flags %#o", (unsigned int)fcntl(fresh, F_GETFL));
	waitpid(pid, &status, 0);
	victim_check(status == 0, "the child failed");
	take(shared[READ], "later", "of another process");
	close(plain[WRITE]);
	victim_check(read(plain[READ], buf, 1) == 0, "it does not end");
	victim_verdict(unlink(path) == 0, "removed fifos are as they were");
}
