/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <time.h>

#include "snapshot/seal.h"
#include "util/clock.h"
#include "worker/worker.h"

/*
 * munged is restarted now and then.  Whatever waits here is as good as saved,
 * or restored, or has no other time to be saved: it is not given up for that.
 */
#define TRYING_S    10
#define SAVING_S    60
#define RESTORING_S 10
#define PAUSE_NS    200000000

static bool again(int r, uint64_t began, unsigned int limit_s)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	return (r == -EACCES || r == -ENOKEY) &&
	       clock_monotonic_ns() - began < limit_s * NSEC_PER_SEC &&
	       nanosleep(&pause, NULL) == 0;
}

bool work_seals(const struct work *w)
{
	return w->req->has_seal && w->req->seal;
}

int work_try_seal(const struct work *w, struct err *err)
{
	const uint64_t began = clock_monotonic_ns();
	const bool ends = w->req->has_kill && w->req->kill;
	int r = 0;

	if (work_seals(w))
		do
			r = seal_try(w->req->munge_socket, err);
		while (ends && again(r, began, TRYING_S));
	return r;
}

int work_add_seal(void *arg, uint8_t **manifest, size_t *len, struct err *err)
{
	const uint64_t began = clock_monotonic_ns();
	const struct work *w = arg;
	int r;

	do
		r = seal_add(w->req->munge_socket, manifest, len, err);
	while (again(r, began, SAVING_S));
	return r;
}

int work_check_seal(const struct work *w, const uint8_t *manifest, size_t len,
		    struct err *err)
{
	const uint64_t began = clock_monotonic_ns();
	int r = 0;

	if (work_seals(w))
		do
			r = seal_check(w->req->munge_socket, manifest, len,
				       err);
		while (again(r, began, RESTORING_S));
	return r;
}
