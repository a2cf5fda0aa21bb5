// SPDX-License-Identifier: GPL-2.0-or-later
/* Leases on files that are read: kept, and whoever breaks one is told of. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static volatile sig_atomic_t told, told_fd, told_others;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told++;
	told_fd = info->si_fd;
}

static void on_io(int sig)
{
	(void)sig;
	told_others++;
}

static int make(const char *name, char *path)
{
	int fd = open(victim_path(name), O_RDWR | O_CREAT | O_EXCL, 0600);

	strcpy(path, victim_path(name));
	victim_need(fd >= 0 && write(fd, "text", 4) == 4 && close(fd) == 0,
		    name);
	fd = open(path, O_RDONLY);
	victim_need(fd >= 0, name);
	return fd;
}

/* Another process opens it for writing, without waiting: its errno. */
static int try_writing(const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(path, O_RDWR | O_NONBLOCK);

		_exit(fd < 0 ? errno : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int main(void)
{
	struct sigaction with_info = { .sa_sigaction = on_signal,
				       .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction plain = { .sa_handler = on_io,
				   .sa_flags = SA_RESTART };
	const int chosen = SIGRTMIN + 3;
	char paths[2][4096];
	int fd, other, twin, without, reader;

	fd = make("told", paths[0]);
	other = make("io", paths[1]);
	twin = dup(other);
	/* The same file, without a lease. */
	without = open(paths[0], O_RDONLY);
	victim_need(sigaction(chosen, &with_info, NULL) == 0 &&
			    sigaction(SIGIO, &plain, NULL) == 0 && twin >= 0 &&
			    without >= 0,
		    "sigaction");
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		victim_skip("no leases here: %s", strerror(errno));
	victim_need(fcntl(fd, F_SETSIG, chosen) == 0 &&
			    fcntl(other, F_SETLEASE, F_RDLCK) == 0,
		    "F_SETLEASE");

	victim_wait();

	victim_check(told == 0 && told_others == 0,
		     "somebody has broken a lease: %d, %d", (int)told,
		     (int)told_others);
	victim_check(fcntl(fd, F_GETLEASE) == F_RDLCK &&
			     fcntl(other, F_GETLEASE) == F_RDLCK &&
			     fcntl(twin, F_GETLEASE) == F_RDLCK,
		     "a lease is lost");
	victim_check(fcntl(without, F_GETLEASE) == F_UNLCK ||
			     fcntl(without, F_GETLEASE) == F_RDLCK,
		     "F_GETLEASE");
	victim_check(fcntl(fd, F_GETOWN) == getpid() &&
			     fcntl(other, F_GETOWN) == getpid() &&
			     fcntl(without, F_GETOWN) == 0 &&
			     fcntl(fd, F_GETSIG) == chosen &&
			     fcntl(other, F_GETSIG) == 0,
		     "who is told, and how");
	/* Who only reads breaks none. */
	reader = open(paths[0], O_RDONLY);
	victim_check(reader >= 0 && told == 0, "a reader");
	victim_check(try_writing(paths[0]) == EWOULDBLOCK,
		     "who writes does not wait");
	victim_until(told != 0);
	victim_check(told == 1 && told_fd == fd, "told %d times of fd %d",
		     (int)told, (int)told_fd);
	victim_check(fcntl(fd, F_SETLEASE, F_UNLCK) == 0 &&
			     try_writing(paths[0]) == 0,
		     "it is given back");
	victim_check(fcntl(without, F_GETLEASE) == F_UNLCK,
		     "there was one only");
	victim_check(try_writing(paths[1]) == EWOULDBLOCK, "the other one");
	victim_until(told_others != 0);
	victim_check(told_others == 1, "told %d times", (int)told_others);
	victim_verdict(fcntl(twin, F_SETLEASE, F_UNLCK) == 0 &&
			       try_writing(paths[1]) == 0,
		       "leases are as they were");
}
