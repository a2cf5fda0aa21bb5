/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/log.h"

#define MIB (1024.0 * 1024.0)

void subject_done(struct subject *s)
{
	if (s->control_fd >= 0)
		close(s->control_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

/* -EBUSY: another child has this job. */
static int lock(struct subject *s, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/jobs/%s/lock", s->conf->run_dir,
		 s->id);
	s->lock_fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return err_sys(err, "%s", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(err, -EBUSY, "already at work")
			       : err_sys(err, "%s", path);
	return 0;
}

int subject_tell(const struct subject *s, uint32_t op, int64_t a,
		 struct err *err)
{
	const struct control_request req = { .magic = CONTROL_MAGIC,
					     .op = op,
					     .a = a };
	struct control_reply reply;

	return control_call(s->control_fd, &req, &reply, NULL, err);
}

int subject_open(const struct conf *conf, const char *job_id,
		 enum control_state state, struct subject *ret, struct err *err)
{
	struct subject s = {
		.conf = conf, .id = job_id, .lock_fd = -1, .control_fd = -1
	};
	int r = control_read_info(conf->run_dir, job_id, &s.info, err);

	if (r == 0 && (!s.info.slurm || s.info.state != (uint32_t)state))
		r = err_set(err, -ESRCH, "nothing to do");
	if (r == 0)
		r = lock(&s, err);
	if (r == 0)
		r = control_connect(conf->run_dir, job_id, &s.control_fd, err);
	if (r < 0)
		subject_done(&s);
	else
		*ret = s;
	return r;
}

void subject_log_refusals(const struct subject *s, const Reply *reply)
{
	size_t i;

	for (i = 0; i < reply->n_refusals; i++) {
		const RefusalEntry *no = reply->refusals[i];

		log_warning(s->id, "pid %d (%s) fd %d: %s; %s", no->pid,
			    no->comm, no->fd, no->what, no->remedy);
	}
}

static double rate(uint64_t bytes, uint64_t ns)
{
	return ns ? (double)bytes / MIB * 1e9 / (double)ns : 0;
}

void subject_log_outcome(const struct subject *s, const char *what,
			 const Outcome *o)
{
	char pause[64] = "";

	if (o->has_frozen_ns && o->frozen_ns)
		snprintf(pause, sizeof(pause), "stood still for %.0f ms, ",
			 (double)o->frozen_ns / 1e6);
	log_info(s->id,
		 "%s: generation %u, %u process%s with %u thread%s, %.1f MiB "
		 "at %.0f MiB/s, %s%.0f ms in all",
		 what, o->generation, o->tasks, o->tasks == 1 ? "" : "es",
		 o->threads, o->threads == 1 ? "" : "s",
		 (double)o->page_bytes / MIB, rate(o->page_bytes, o->pages_ns),
		 pause, (double)o->total_ns / 1e6);
}

void subject_log_phase(void *arg, const char *phase)
{
	const struct subject *s = arg;

	log_debug(s->id, "%s", phase);
}
