/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/warn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "daemon/slurm.h"
#include "util/clock.h"

/* How often Slurm is asked whether it has begun to end the job. */
#define LOOK_MS 1000

/* 1: it has ended: the supervisor hangs up. */
static int ended_within(const struct subject *s, int ms)
{
	struct pollfd p = { .fd = s->control_fd, .events = POLLRDHUP };
	int r = poll(&p, 1, ms);

	return r > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* The time is up at *until; sooner when Slurm's SIGKILL is on its way. */
static void look(const struct subject *s, bool *ending, uint64_t *until)
{
	struct slurm_job job;
	uint64_t latest;
	struct err unused;

	if (*ending ||
	    slurm_query(s->conf->libexec, s->info.slurm, &job, &unused) < 0 ||
	    !job.completing)
		return;
	*ending = true;
	latest = clock_monotonic_ns() + job.kill_wait_s * NSEC_PER_SEC / 2;
	if (latest < *until)
		*until = latest;
}

int warn_job(struct subject *s, unsigned int at_most_s, struct err *err)
{
	const struct job_options *o = &s->info.options;
	const struct control_request signal = { .op = CONTROL_SIGNAL,
						.a = o->signal,
						.b = 1 };
	unsigned int seconds =
		o->signal_s < at_most_s ? o->signal_s : at_most_s;
	struct control_reply reply;
	uint64_t now, until;
	bool ending = false;
	int r;

	if (!o->signal)
		return 0;
	r = subject_tell(s, CONTROL_HOLD, 0, err);
	if (r == 0)
		r = control_call(s->control_fd, &signal, &reply, NULL, err);
	if (r < 0)
		return r;
	subject_note(s, "warned", 0, "signal %u, %u s before the checkpoint",
		     o->signal, seconds);
	until = clock_monotonic_ns() + seconds * NSEC_PER_SEC;
	while ((now = clock_monotonic_ns()) < until) {
		uint64_t ms = (until - now) / 1000000 + 1;

		if (ended_within(s, ms < LOOK_MS ? (int)ms : LOOK_MS))
			return err_set(err, -ESRCH,
				       "it has ended by itself after signal %u",
				       o->signal);
		look(s, &ending, &until);
	}
	return 0;
}
