/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * strike DAEMON WHAT MICROSECONDS
 *
 * Waits until jobcrd, or a process of its own, has started a worker, and
 * MICROSECONDS more.  Then kills the worker; jobcrd ("daemon"); or "all", with
 * who has started it; or "none": it waits for the worker's end.  Prints how
 * long the worker had lived; 1: it had ended by itself.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

#define PATIENCE (20 * NSEC_PER_SEC)

struct target {
	int daemon, child, worker; /* pidfds */
};

static int hold(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool is_worker(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		*name = '\0';
	fclose(f);
	return strcmp(name, "jobcr-worker\n") == 0;
}

static FILE *children_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	return fopen(path, "re");
}

static bool find(pid_t parent, struct target *t)
{
	FILE *f = children_of(parent);
	bool found = false;
	pid_t pid;

	while (f && !found && fscanf(f, "%d", &pid) == 1) {
		if (!is_worker(pid)) {
			found = find(pid, t);
			continue;
		}
		t->worker = hold(pid);
		t->child = hold(parent);
		found = t->worker >= 0;
	}
	if (f)
		fclose(f);
	return found;
}

static bool has_ended(int pidfd, int patience_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, patience_ms) > 0;
}

static void end(int pidfd)
{
	if (pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

int main(int argc, char **argv)
{
	struct target t = { -1, -1, -1 };
	uint64_t begin = clock_monotonic_ns(), seen;
	struct timespec nap;
	bool late;
	pid_t pid;
	long us;

	if (argc != 4)
		return 2;
	pid = atoi(argv[1]);
	us = atol(argv[3]);
	t.daemon = hold(pid);
	while (!find(pid, &t))
		if (clock_monotonic_ns() - begin > PATIENCE)
			return 3;
	seen = clock_monotonic_ns();
	nap = (struct timespec){ us / 1000000, us % 1000000 * 1000 };
	nanosleep(&nap, NULL);
	late = has_ended(t.worker, strcmp(argv[2], "none")
					   ? 0
					   : (int)(PATIENCE / 1000000));
	if (strcmp(argv[2], "worker") == 0 || strcmp(argv[2], "all") == 0)
		end(t.worker);
	if (strcmp(argv[2], "all") == 0)
		end(t.child);
	if (strcmp(argv[2], "daemon") == 0 || strcmp(argv[2], "all") == 0)
		end(t.daemon);
	printf("%llu\n",
	       (unsigned long long)(clock_monotonic_ns() - seen) / 1000);
	return late;
}
