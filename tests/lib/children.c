/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/children.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "util/cleanup.h"

volatile uint64_t *counters;

void children_init(void)
{
	void *p =
		mmap(NULL, COUNTERS * sizeof(*counters), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	counters = p;
}

void nap_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000,
				      .tv_nsec = ms % 1000 * 1000000 },
		  NULL);
}

bool await_count(int i, uint64_t min)
{
	uint64_t deadline = clock_monotonic_ns() + DEADLINE;

	while (counters[i] < min) {
		if (clock_monotonic_ns() > deadline)
			return false;
		nap_ms(1);
	}
	return true;
}

char state_of(pid_t pid)
{
	auto_close int fd = -EBADF;
	struct proc_stat st;
	struct err err;

	if (proc_open(pid, 0, &fd, &err) < 0 ||
	    proc_read_stat(fd, &st, &err) < 0)
		return '-';
	return st.state;
}

bool await_state(pid_t pid, char state)
{
	uint64_t deadline = clock_monotonic_ns() + DEADLINE;

	while (state_of(pid) != state) {
		if (clock_monotonic_ns() > deadline)
			return false;
		nap_ms(1);
	}
	return true;
}

pid_t fork_bound(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void reset(void)
{
	memset((void *)counters, 0, COUNTERS * sizeof(*counters));
}
