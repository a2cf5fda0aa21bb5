/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children that are stopped: they stay so until somebody continues them. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static volatile unsigned long *counter; /* shared with the children */

static void *count(void *arg)
{
	for (;;) {
		counter[(long)arg]++;
		victim_nap(1000000);
	}
	return NULL;
}

static char state_of(pid_t pid)
{
	char path[64], line[512] = "";
	char *end;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0)
		return '?';
	close(fd);
	end = strrchr(line, ')');
	return end ? end[2] : '?';
}

static volatile int told;

static void on_child(int sig)
{
	(void)sig;
	told++;
}

static void on_term(int sig)
{
	(void)sig;
	_exit(5);
}

static pid_t begin(int slot, int threads, bool ask)
{
	pid_t pid = fork();
	pthread_t thread;
	int status;

	victim_need(pid >= 0, "fork");
	if (pid == 0) {
		signal(SIGTERM, on_term);
		for (long i = 0; i < threads; i++)
			pthread_create(&thread, NULL, count,
				       (void *)(slot + i));
		count((void *)(long)(slot + threads));
	}
	victim_until(counter[slot + threads] > 3);
	victim_need(kill(pid, SIGSTOP) == 0, "stop");
	if (ask)
		victim_need(waitpid(pid, &status, WUNTRACED) == pid &&
				    WIFSTOPPED(status),
			    "stopped child");
	victim_until(state_of(pid) == 'T');
	return pid;
}

static void check_one(pid_t pid, int slot, int threads, bool asked)
{
	unsigned long before = counter[slot + threads];
	int status = -1;
	pid_t got = waitpid(pid, &status, WUNTRACED | WNOHANG);

	victim_check(state_of(pid) == 'T', "state %c", state_of(pid));
	victim_check(asked ? got == 0
			   : got == pid && WIFSTOPPED(status) &&
				     WSTOPSIG(status) == SIGSTOP,
		     "wait says %d, status %#x", got, status);
	victim_nap(20000000);
	victim_check(counter[slot + threads] == before, "it runs");
	victim_need(kill(pid, SIGCONT) == 0, "continue");
	victim_check(victim_until(counter[slot + threads] > before),
		     "does not go on after SIGCONT");
	victim_need(kill(pid, SIGTERM) == 0, "end");
	victim_need(waitpid(pid, &status, 0) == pid, "wait");
	victim_check(WIFEXITED(status) && WEXITSTATUS(status) == 5,
		     "status %#x after the end", status);
}

int main(void)
{
	struct sigaction act = { .sa_handler = on_child };
	pid_t single, many, silent;
	int before;

	counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	victim_need(counter != MAP_FAILED, "mmap");
	sigaction(SIGCHLD, &act, NULL);
	single = begin(0, 0, true);
	many = begin(1, 4, true);
	silent = begin(6, 0, false);
	before = told;

	victim_wait();

	victim_check(told == before, "%d more SIGCHLD", told - before);
	check_one(single, 0, 0, true);
	check_one(many, 1, 4, true);
	check_one(silent, 6, 0, false);
	victim_verdict(true, "stopped children stay stopped, and go on");
}
