/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "worker/worker.h"

static void keep(struct work *w, const struct watches *watches)
{
	const struct control_request req = { .op = CONTROL_KEEP };
	auto_close int fd = -EBADF;
	struct control_reply reply;
	struct err unused;

	if (watches_pack(watches, &fd, &unused) == 0 &&
	    control_send_fd(w->control_fd, &req, fd, &unused) == 0)
		(void)control_receive(w->control_fd, &reply, NULL, &unused);
}

/* In their place: why there are none, should we die with them. */
static void leave_reason(struct work *w)
{
	struct watches_lost why = watches_why(&w->watches);
	struct watches none = { 0 };

	if (w->watches.count)
		why = (struct watches_lost){ w->watches.generation, 0 };
	w->watches_left = why.generation != 0;
	watches_lose(&none, &why);
	if (w->watches_left)
		keep(w, &none);
}

void work_take_watches(struct work *w)
{
	int fds[3] = { -1, -1, -1 };
	struct control_reply reply;
	struct err unused;
	int r;

	if (w->control_fd < 0)
		return;
	r = work_control(w, CONTROL_KEEP, 0, 0, &reply, fds, &unused);
	/* One of an earlier jobcr knows nothing of them. */
	w->watches_kept = r == 0 || r == -ENOENT;
	if (r == 0)
		(void)watches_unpack(fds[0], &w->watches, &unused);
	/* Not wanted any more: with them the marks are gone. */
	if (w->req->watch == ENGINE_WATCH_NONE)
		watches_done(&w->watches);
	leave_reason(w);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_close(&fds[i]);
}

void work_give_watches(struct work *w)
{
	if (w->watches_kept &&
	    (w->watches_left || w->watches.count || w->watches.generation))
		keep(w, &w->watches);
	watches_done(&w->watches);
}
