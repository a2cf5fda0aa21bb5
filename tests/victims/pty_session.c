// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pseudo terminals that control sessions: a shell's with a foreground job and
 * a stopped one, one in another, one whose leader is gone or gave it up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../lib/victim.h"

struct shared {
	volatile int ready, interrupted, refused, hangups, changes;
	volatile int inner_interrupted, left_ok, orphan_ok, given_ok, dev_tty;
	volatile int background_ok;
	volatile pid_t shell, front, back, orphan, inner, inner_leader;
};

static struct shared *s;

static int make(int *ret_slave)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), off = 0, n;
	char name[32];

	ioctl(master, TIOCSPTLCK, &off);
	victim_need(master >= 0 && ioctl(master, TIOCGPTN, &n) == 0, "ptmx");
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	*ret_slave = open(name, O_RDWR | O_NOCTTY);
	victim_need(*ret_slave >= 0, "slave");
	return master;
}

static void say_ready(void)
{
	__sync_fetch_and_add(&s->ready, 1);
}

static void on_int(int sig)
{
	(void)sig;
	s->interrupted++;
}

static void on_inner_int(int sig)
{
	(void)sig;
	s->inner_interrupted++;
}

static void on_hup(int sig)
{
	(void)sig;
	s->hangups++;
}

static void on_winch(int sig)
{
	(void)sig;
	s->changes++;
}

static void wait_for_end(void)
{
	for (;;)
		pause();
}

/* The foreground job. */
static void run_front(void)
{
	setpgid(0, 0);
	signal(SIGINT, on_int);
	signal(SIGWINCH, on_winch);
	say_ready();
	wait_for_end();
}

static void run_back(void)
{
	setpgid(0, 0);
	/* A shell starts us in the background with it ignored. */
	signal(SIGINT, SIG_DFL);
	say_ready();
	raise(SIGSTOP);
	wait_for_end();
}

/* Of the session, and without its terminal. */
static void run_given_up(int slave)
{
	setpgid(0, 0);
	ioctl(slave, TIOCNOTTY);
	say_ready();
	victim_wait_go();
	s->given_ok = open("/dev/tty", O_RDWR) < 0 && errno == ENXIO &&
		      getsid(0) == s->shell;
	say_ready();
	wait_for_end();
}

static void take(int slave)
{
	victim_need(setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0,
		    "controlling terminal");
	dup2(slave, 0);
	dup2(slave, 1);
	dup2(slave, 2);
}

/* A program of the shell's that runs another one in a terminal of its own. */
static void run_inner(void)
{
	int slave, master = make(&slave);
	pid_t pid;

	setpgid(0, 0);
	pid = fork();
	if (pid == 0) {
		close(master);
		signal(SIGINT, on_inner_int);
		take(slave);
		close(slave);
		s->inner_leader = getpid();
		say_ready();
		wait_for_end();
	}
	close(slave);
	say_ready();
	victim_wait_go();
	s->left_ok = tcgetpgrp(master) == pid;
	victim_need(write(master, "\003", 1) == 1, "ctrl-C");
	victim_until(s->inner_interrupted == 1);
	say_ready();
	wait_for_end();
}

static pid_t start(void (*run)(void))
{
	pid_t pid = fork();

	if (pid == 0)
		run();
	setpgid(pid, pid);
	return pid;
}

static void run_shell(int master, int slave)
{
	int tty, given;

	close(master);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGHUP, on_hup);
	s->shell = getpid();
	take(slave);
	tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	s->front = start(run_front);
	s->back = start(run_back);
	s->inner = start(run_inner);
	given = fork();
	if (given == 0)
		run_given_up(slave);
	close(slave);
	victim_need(tcsetpgrp(0, s->front) == 0, "foreground");
	say_ready();
	victim_wait_go();
	s->background_ok = tcgetpgrp(0) == s->front;
	s->dev_tty = tcgetsid(tty) == getpid() && isatty(tty);
	/* fg */
	victim_until(s->interrupted == 1);
	victim_need(tcsetpgrp(0, s->back) == 0, "foreground again");
	kill(s->back, SIGCONT);
	say_ready();
	wait_for_end();
}

/* Its leader has ended: nothing controls it. */
static void run_lost(int slave)
{
	take(slave);
	signal(SIGHUP, SIG_IGN);
	if (fork() == 0) {
		s->orphan = getpid();
		close(slave);
		victim_until(getppid() == 1);
		say_ready();
		victim_wait_go();
		s->orphan_ok = open("/dev/tty", O_RDWR) < 0 && errno == ENXIO &&
			       isatty(0) && write(1, "orphan", 6) == 6;
		say_ready();
		wait_for_end();
	}
	victim_until(s->orphan > 0);
	_exit(0);
}

static char state_of(pid_t pid)
{
	char name[64], state = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	f = fopen(name, "re");
	if (!f)
		return 0;
	(void)!fscanf(f, "%*d (%*[^)]) %c", &state);
	fclose(f);
	return state;
}

static bool has_ended(pid_t pid)
{
	const char state = state_of(pid);

	return !state || state == 'Z';
}

int main(void)
{
	int slave, master = make(&slave), lost_slave, lost = make(&lost_slave);
	pid_t shell, pid;
	char buf[64];
	ssize_t n;

	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	victim_need(s != MAP_FAILED, "memory");
	shell = fork();
	if (shell == 0)
		run_shell(master, slave);
	pid = fork();
	if (pid == 0) {
		close(master);
		run_lost(lost_slave);
	}
	close(slave);
	close(lost_slave);
	victim_need(waitpid(pid, NULL, 0) == pid, "leader");
	victim_need(victim_until(s->ready == 7), "children");
	victim_need(victim_until(state_of(s->back) == 'T'), "stopped");

	victim_wait();

	victim_check(s->hangups == 0 && s->changes == 0 && s->interrupted == 0,
		     "signals came: %d hang-ups, %d changes of size",
		     s->hangups, s->changes);
	victim_check(tcgetpgrp(master) == s->front, "foreground group %d",
		     (int)tcgetpgrp(master));
	victim_check(state_of(s->back) == 'T', "the other job is stopped");
	victim_until(s->ready >= 9);
	/* The shell may not have looked yet. */
	victim_until(s->background_ok);
	victim_check(s->background_ok, "the shell is in the background");
	victim_need(write(master, "\003", 1) == 1, "ctrl-C");
	victim_check(victim_until(s->interrupted == 1),
		     "ctrl-C is for the foreground group");
	victim_check(victim_until(tcgetpgrp(master) == s->back),
		     "the other job in the foreground");
	victim_check(s->dev_tty, "/dev/tty of the shell");
	victim_check(victim_until(state_of(s->back) != 'T'), "and continued");
	victim_need(write(master, "\003", 1) == 1, "ctrl-C");
	victim_check(victim_until(has_ended(s->back)),
		     "ctrl-C ends the other job");
	victim_check(victim_until(s->given_ok), "who gave it up has none");
	victim_check(victim_until(s->inner_interrupted == 1) && s->left_ok,
		     "a terminal inside");
	victim_check(victim_until(s->orphan_ok), "an orphaned session");
	n = read(lost, buf, sizeof(buf));
	victim_check(n == 6 && memcmp(buf, "orphan", 6) == 0,
		     "its output: %zd bytes", n);
	close(master);
	victim_check(victim_until(s->hangups == 1),
		     "the shell is told of a hang-up");
	kill(s->inner_leader, SIGKILL);
	kill(s->inner, SIGKILL);
	kill(s->orphan, SIGKILL);
	kill(s->front, SIGKILL);
	kill(shell, SIGKILL);
	victim_verdict(true, "sessions have their terminals");
}
