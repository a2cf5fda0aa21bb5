/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define WORKER_DEADLINE (60 * NSEC_PER_SEC)

void outcome_findings(struct drive_outcome *out, const struct refusals *no)
{
	size_t i;

	out->refused = no->total;
	for (i = 0; i < no->count && i < ARRAY_SIZE(out->finding); i++) {
		const struct refusal *f = &no->list[i];

		snprintf(out->finding[i], sizeof(out->finding[i]),
			 "pid %d %s fd %d: %s: %s", (int)f->pid, f->comm, f->fd,
			 f->what, f->remedy);
	}
}

int outcome_collect(pid_t pid, int results, struct drive_outcome *out)
{
	uint64_t deadline = clock_monotonic_ns() + WORKER_DEADLINE;
	size_t have = 0;
	int status = 0;
	int r = 0;

	while (have < sizeof(*out)) {
		struct pollfd p = { .fd = results, .events = POLLIN };
		uint64_t now = clock_monotonic_ns();
		ssize_t n;

		if (now >= deadline ||
		    poll(&p, 1, (int)((deadline - now) / 1000000)) == 0) {
			r = err_set(&out->err, -ETIMEDOUT,
				    "worker: not done within a minute");
			break;
		}
		n = read(results, (char *)out + have, sizeof(*out) - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	if (have < sizeof(*out))
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (r == 0 && have < sizeof(*out))
		r = err_set(&out->err, -ECHILD, "worker: died, status %#x",
			    (unsigned int)status);
	if (r < 0)
		out->result = r;
	return out->result;
}

/* In a stop of its tracer's. */
static bool stands_still(pid_t pid)
{
	auto_free char *text = NULL;
	char path[64], *end;
	struct err unused;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL, &unused) < 0)
		return false;
	end = strrchr(text, ')');
	return end && end[2] == 't';
}

void outcome_shelter(struct drive_outcome *out, pid_t pid, char still,
		     char not_still)
{
	size_t len = strlen(out->shelter);

	if (len + 1 < sizeof(out->shelter))
		out->shelter[len] = stands_still(pid) ? still : not_still;
}
