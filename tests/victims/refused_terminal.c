// SPDX-License-Identifier: GPL-2.0-or-later
/* refused_terminal KIND: a pseudo terminal that cannot be saved. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../lib/victim.h"

static int open_terminal(void)
{
	return open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

/* Both ends, which pass on what comes. */
static int open_terminals(int *ret_slave)
{
	int master = open_terminal(), off = 0;
	struct termios t;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &off) < 0)
		return -1;
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (*ret_slave < 0 || tcgetattr(*ret_slave, &t) < 0)
		return -1;
	cfmakeraw(&t);
	return tcsetattr(*ret_slave, TCSANOW, &t) < 0 ? -1 : master;
}

static int fill(int from, int to)
{
	char much[4090] = { 0 };
	int there = 0;

	if (write(to, much, sizeof(much)) != sizeof(much))
		return -1;
	return victim_until(ioctl(from, FIONREAD, &there) == 0 &&
			    there == sizeof(much))
		       ? 0
		       : -1;
}

static int open_terminal_typed(void)
{
	int slave = -1, master = open_terminals(&slave);

	return fill(slave, master) < 0 ? -1 : master;
}

static int open_terminal_output(void)
{
	int slave = -1, master = open_terminals(&slave);

	return fill(master, slave) < 0 ? -1 : master;
}

/* A master in packet mode is to be told something. */
static int open_terminal_packet(void)
{
	int slave = -1, master = open_terminals(&slave), on = 1;

	return ioctl(master, TIOCPKT, &on) < 0 || tcflush(slave, TCIFLUSH) < 0
		       ? -1
		       : master;
}

static int open_terminal_locked(void)
{
	int slave = -1, master = open_terminals(&slave);
	struct termios all;

	memset(&all, 0xff, sizeof(all));
	return ioctl(slave, TIOCSLCKTRMIOS, &all) < 0 ? -1 : master;
}

/* n_null of the kernel: all is thrown away. */
static int open_terminal_discipline(void)
{
	int slave = -1, master = open_terminals(&slave), discipline = 27;

	return ioctl(slave, TIOCSETD, &discipline) < 0 ? -1 : master;
}

static int open_terminal_given(void)
{
	int slave = -1, master = open_terminals(&slave);

	return fchown(slave, 12345, (gid_t)-1) < 0 ? -1 : master;
}

#define HIGH 1024 /* numbers below it are saved */

static int open_terminal_held(void)
{
	int slave = -1, master = open_terminals(&slave);

	return tcflow(master, TCOOFF) < 0 ? -1 : master;
}

/* The lowest number that is free is the next one's. */
static int open_terminal_high(void)
{
	const struct rlimit files = { HIGH + 100, HIGH + 100 };
	int others[HIGH], master, n = 0;

	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return -1;
	while (n < HIGH && (others[n] = open_terminal()) >= 0)
		n++;
	master = open_terminal();
	while (n)
		close(others[--n]);
	return master;
}

/* Its leader has put a group in the foreground, which is no more. */
static int open_terminal_ended(void)
{
	int slave = -1, master = open_terminals(&slave), go[2];
	char byte = 0;

	if (master < 0 || pipe(go) < 0)
		return -1;
	if (fork() == 0) {
		pid_t pid;

		(void)signal(SIGTTOU, SIG_IGN);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setsid() < 0 ||
		    ioctl(slave, TIOCSCTTY, 0) < 0)
			_exit(1);
		pid = fork();
		if (pid == 0) {
			pause();
			_exit(0);
		}
		if (setpgid(pid, pid) < 0 || tcsetpgrp(slave, pid) < 0 ||
		    kill(pid, SIGKILL) < 0 || waitpid(pid, NULL, 0) != pid ||
		    write(go[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		return -1;
	close(go[0]);
	close(slave);
	return master;
}

static const struct {
	const char *kind, *named;
	int (*open)(void);
} kinds[] = {
	{ "unopened", "whose other end nobody has opened", open_terminal },
	{ "typed", "much typed input", open_terminal_typed },
	{ "output", "much output", open_terminal_output },
	{ "packet", "a change of its state", open_terminal_packet },
	{ "locked", "settings that are locked", open_terminal_locked },
	{ "discipline", "line discipline", open_terminal_discipline },
	{ "given", "a file that is not its", open_terminal_given },
	{ "held", "a master that is held back", open_terminal_held },
	{ "high", "with too high a number", open_terminal_high },
	{ "ended", "the foreground group of its terminal",
	  open_terminal_ended },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd;

		if (argc < 2 || strcmp(argv[1], kinds[i].kind) != 0)
			continue;
		fd = kinds[i].open();
		if (fd < 0)
			victim_skip("%s cannot be had here", argv[1]);
		victim_wait_refused(kinds[i].named);
		victim_check(fcntl(fd, F_GETFD) >= 0, "it is still open");
		victim_check(victim_interrupts == 0, "no call was interrupted");
		victim_verdict(true, "%s: the job goes on", argv[1]);
	}
	return 2;
}
