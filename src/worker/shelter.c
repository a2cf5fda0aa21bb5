/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <poll.h>
#include <unistd.h>

#include "worker/worker.h"

int work_shelter(void *arg, struct err *err)
{
	struct control_reply reply;
	struct work *w = arg;
	int fds[3], r;

	r = work_control(w, CONTROL_SHELTER, 0, 0, &reply, fds, err);
	if (r == 0)
		w->lifeline_fd = fds[0];
	return r;
}

/* A supervisor that does not answer undoes it when we have ended. */
void work_unshelter(void *arg)
{
	struct control_reply reply;
	struct work *w = arg;
	struct err unused;

	(void)work_control(w, CONTROL_RETURN, 0, 0, &reply, NULL, &unused);
	if (w->lifeline_fd >= 0)
		close(w->lifeline_fd);
	w->lifeline_fd = -1;
}

/* The supervisor is what Slurm ends a step by. */
bool work_outlived(void *arg)
{
	const struct work *w = arg;
	struct pollfd p = { .fd = w->control_fd, .events = 0 };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}
