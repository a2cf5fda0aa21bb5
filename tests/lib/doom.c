/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doom.h"

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define PATIENCE (10 * NSEC_PER_SEC)

static bool dead(const char *pid)
{
	char path[300], line[512];
	const char *state;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return true;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	state = strrchr(line, ')');
	return !state || state[2] == 'Z' || state[2] == 'X';
}

/* Calls fn for each; returns how many there were. */
static size_t each(pid_t init_pid, void (*fn)(pid_t pid, size_t *count),
		   size_t *count)
{
	char path[300], init_ns[64] = "", ns[64];
	auto_closedir DIR *proc = opendir("/proc");
	struct dirent *e;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)init_pid);
	if (!proc)
		return SIZE_MAX;
	/* Init ends last. */
	if (readlink(path, init_ns, sizeof(init_ns) - 1) < 0)
		return 0;
	while ((e = readdir(proc))) {
		memset(ns, 0, sizeof(ns));
		snprintf(path, sizeof(path), "/proc/%s/ns/pid", e->d_name);
		if (atoi(e->d_name) == init_pid ||
		    readlink(path, ns, sizeof(ns) - 1) < 0 ||
		    strcmp(ns, init_ns) != 0)
			continue;
		n++;
		if (fn)
			fn(atoi(e->d_name), count);
	}
	return n;
}

size_t doom_count(pid_t init_pid)
{
	return each(init_pid, NULL, NULL);
}

static void slay(pid_t pid, size_t *alive)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	if (dead(text))
		return;
	(*alive)++;
	kill(pid, SIGKILL);
}

bool doom(pid_t init_pid)
{
	uint64_t deadline = clock_monotonic_ns() + PATIENCE;
	struct timespec nap = { .tv_nsec = 1000000 };
	bool last = false;
	size_t alive;
	char init[16];

	snprintf(init, sizeof(init), "%d", (int)init_pid);
	while (clock_monotonic_ns() < deadline) {
		alive = 0;
		(void)each(init_pid, slay, &alive);
		if (alive == 0 && dead(init))
			return true;
		if (alive == 0 && !last) {
			kill(init_pid, SIGKILL);
			last = true;
		}
		nanosleep(&nap, NULL);
	}
	return false;
}

void doom_later(pid_t worker, int reached, uint64_t delay_ns)
{
	const struct timespec delay = {
		.tv_sec = (time_t)(delay_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(delay_ns % NSEC_PER_SEC),
	};
	char c;

	/* End of file: it was done before. */
	if (read(reached, &c, 1) != 1)
		return;
	nanosleep(&delay, NULL);
	kill(worker, SIGKILL);
}
