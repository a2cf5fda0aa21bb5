/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/guard.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon/crash.h"
#include "daemon/slurm.h"
#include "operation/aside.h"
#include "util/clock.h"
#include "util/log.h"

int guard_begin(const struct subject *s, struct err *err)
{
	const struct control_request req = { .magic = CONTROL_MAGIC,
					     .op = CONTROL_GUARD };

	return s->conf->restore_guard_s ? control_send(s->control_fd, &req, err)
					: 0;
}

/* Its root ended, with *ret_status; false: it lives, or was checkpointed. */
static bool await_end(struct subject *s, uint64_t until, int *ret_status)
{
	struct pollfd p = { .fd = s->control_fd, .events = POLLIN };
	struct control_reply reply;
	struct err unused;
	uint64_t now;
	int r;

	do {
		now = clock_monotonic_ns();
		r = now < until
			    ? poll(&p, 1, (int)((until - now) / 1000000 + 1))
			    : 0;
	} while (r < 0 && errno == EINTR);
	if (r <= 0 ||
	    control_receive(s->control_fd, &reply, NULL, &unused) < 0 ||
	    reply.info.state == CONTROL_LEFT)
		return false;
	*ret_status = (int)reply.value;
	return true;
}

static void describe(const struct subject *s, int status, uint64_t ns,
		     char *ret, size_t room)
{
	char how[80];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how),
			 "with exit status %d, a shell's word for signal %d",
			 WEXITSTATUS(status), crash_signal(status));
	snprintf(ret, room,
		 "jobcr: restored from snapshot %u on %s it ended after %.1f s "
		 "%s: look into its output; scontrol release tries again",
		 s->info.generation, s->conf->node, (double)ns / 1e9, how);
}

/* The end is Slurm's doing, or nobody can say: as it is. */
static bool is_own_end(const struct subject *s)
{
	struct slurm_job job;
	struct err err = { 0 };

	if (slurm_query(s->conf->libexec, s->info.slurm, &job, &err) < 0) {
		log_warning(s->id, "ended soon after its restore: %s",
			    err.text);
		return false;
	}
	return job.reason == SLURM_REASON_NONE;
}

enum guard_result guard_job(struct subject *s, bool again)
{
	uint64_t begin = clock_monotonic_ns();
	uint64_t window = s->conf->restore_guard_s * NSEC_PER_SEC;
	struct err err = { 0 };
	char reason[512];
	int status;

	if (!window || !await_end(s, begin + window, &status))
		return GUARD_LIVES;
	if (!crash_signal(status) || !is_own_end(s))
		return GUARD_ENDED;
	describe(s, status, clock_monotonic_ns() - begin, reason,
		 sizeof(reason));
	if (again) {
		subject_note(s, "ended", s->info.generation,
			     "%s: the second time, so this is its end", reason);
		return GUARD_ENDED;
	}
	/* Slurm truncates them when the job starts again. */
	if (aside_put_outputs(&s->info, &err) < 0)
		log_warning(s->id, "%s", err.text);
	if (subject_hold(s, reason) < 0) {
		(void)aside_undo_outputs(&s->info, &err);
		return GUARD_ENDED;
	}
	subject_note(s, "held", s->info.generation, "held: %s", reason);
	return GUARD_HELD;
}
