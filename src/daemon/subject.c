/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "daemon/slurm.h"
#include "operation/apart.h"
#include "operation/chronicle.h"
#include "operation/way.h"
#include "storage/as_user.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/log.h"

/* So many refusals go to the history; the log has them all. */
#define REFUSALS_NOTED 8

/* Slurm's controller may be away for a moment, or for the night. */
#define HOLD_TRIES   60
#define HOLD_PAUSE_S 5

/* So long for one whose worker has ended; Slurm says it again later. */
#define WAY_TRIES    20
#define WAY_PAUSE_NS 50000000

void subject_done(struct subject *s)
{
	if (s->control_fd >= 0)
		close(s->control_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

/*
 * Who lets the job go on is made to give way, and its end is waited for; who
 * does not is not waited for: what it does is what we would.
 */
static int lock_first(const struct subject *s)
{
	const struct timespec pause = { .tv_nsec = WAY_PAUSE_NS };
	int idle = 0, r;

	while ((r = flock(s->lock_fd, LOCK_EX | LOCK_NB)) < 0 &&
	       errno == EWOULDBLOCK) {
		if (way_ask(s->conf, s->id))
			idle = 1;
		else if (!idle || idle++ > WAY_TRIES)
			break;
		nanosleep(&pause, NULL);
	}
	return r;
}

/* -EBUSY: another child has this job.  first: see lock_first. */
static int lock(struct subject *s, bool first, struct err *err)
{
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/jobs/%s/lock", s->conf->run_dir,
		 s->id);
	s->lock_fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return err_sys(err, "%s", path);
	r = first ? lock_first(s) : flock(s->lock_fd, LOCK_EX | LOCK_NB);
	if (r == 0)
		return 0;
	return errno == EWOULDBLOCK ? err_set(err, -EBUSY, "already at work")
				    : err_sys(err, "%s", path);
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

int subject_hold(const struct subject *s, const char *reason)
{
	const struct timespec pause = { .tv_sec = HOLD_PAUSE_S };
	struct err err = { 0 };
	int try, r = 0;

	for (try = 0; try < HOLD_TRIES; try++) {
		r = slurm_hold_job(s->conf->libexec, s->info.slurm, reason,
				   &err);
		if (r == 0 || r == -ENOENT || r == -ECANCELED)
			break;
		log_error(s->id, "hold: %s", err.text);
		nanosleep(&pause, NULL);
	}
	return r;
}

void subject_comment(const struct subject *s, const char *text)
{
	struct err err = { 0 };

	if (s->conf->job_comment && s->info.slurm &&
	    slurm_comment_job(s->conf->libexec, s->info.slurm, text, &err) < 0)
		log_warning(s->id, "%s", err.text);
}

static int open_any(const struct conf *conf, const char *job_id,
		    enum control_state state, bool local, bool first,
		    struct subject *ret, struct err *err)
{
	struct subject s = {
		.conf = conf, .id = job_id, .lock_fd = -1, .control_fd = -1
	};
	int r = control_read_info(conf->run_dir, job_id, &s.info, err);

	if (r == 0 &&
	    ((!s.info.slurm && !local) || s.info.state != (uint32_t)state))
		r = err_set(err, -ESRCH, "nothing to do");
	if (r == 0)
		r = lock(&s, first, err);
	if (r == 0)
		r = control_connect(conf->run_dir, job_id, &s.control_fd, err);
	if (r < 0)
		subject_done(&s);
	else
		*ret = s;
	return r;
}

int subject_open(const struct conf *conf, const char *job_id,
		 enum control_state state, struct subject *ret, struct err *err)
{
	return open_any(conf, job_id, state, false, false, ret, err);
}

int subject_open_first(const struct conf *conf, const char *job_id,
		       enum control_state state, struct subject *ret,
		       struct err *err)
{
	return open_any(conf, job_id, state, false, true, ret, err);
}

int subject_open_any(const struct conf *conf, const char *job_id,
		     enum control_state state, struct subject *ret,
		     struct err *err)
{
	return open_any(conf, job_id, state, true, false, ret, err);
}

void subject_log_refusals(const struct subject *s, const Reply *reply)
{
	size_t i;

	for (i = 0; i < reply->n_refusals; i++) {
		const RefusalEntry *no = reply->refusals[i];

		if (i < REFUSALS_NOTED)
			subject_note(s, "refused", 0,
				     "pid %d (%s) fd %d: %s; %s", no->pid,
				     no->comm, no->fd, no->what, no->remedy);
		else
			log_warning(s->id, "pid %d (%s) fd %d: %s; %s", no->pid,
				    no->comm, no->fd, no->what, no->remedy);
	}
}

void subject_say_refusal(const Reply *reply, char *ret, size_t room)
{
	const RefusalEntry *no;
	char fd[24] = "", who[64] = "the job";

	*ret = '\0';
	if (!reply->n_refusals)
		return;
	no = reply->refusals[0];
	if (no->fd >= 0)
		snprintf(fd, sizeof(fd), " fd %d", no->fd);
	if (no->pid)
		snprintf(who, sizeof(who), "pid %d (%s)", no->pid, no->comm);
	snprintf(ret, room, "%s%s: %s%s%s", who, fd, no->what,
		 *no->remedy ? "; " : "", no->remedy);
}

void subject_log_outcome(const struct subject *s, const char *what,
			 const char *cause, const Outcome *o)
{
	char text[CHRONICLE_TEXT];

	chronicle_describe(what, cause, o, text);
	event_note_cause(s->conf, &s->info, what, cause, o->generation, "%s",
			 text);
}

void subject_log_phase(void *arg, const char *phase)
{
	const struct subject *s = arg;

	log_debug(s->id, "%s", phase);
}

static int find_newest(void *arg, struct err *err)
{
	const struct subject *s = arg;
	auto_close int job_fd = -EBADF;
	struct user_id user;
	uint32_t found = 0;
	int r = user_id_load(s->info.uid, s->info.gid, &user, err);

	if (r < 0)
		return r;
	r = store_open_job(s->conf->store_dir, s->conf->cluster, s->id, false,
			   &user, &job_fd, err);
	if (r == 0)
		r = store_newest(job_fd, &user, &found, err);
	user_id_done(&user);
	return r < 0 ? r : (int)found;
}

int subject_newest(struct subject *s)
{
	const struct apart apart = { .conf = s->conf,
				     .uid = s->info.uid,
				     .peer_fd = -1 };
	struct err err = { 0 };
	int r = apart_run(&apart, find_newest, s, &err);

	if (r == -ETIMEDOUT)
		log_warning(s->id, "its newest snapshot: %s", err.text);
	return r < 0 && r != -ETIMEDOUT ? 0 : r;
}
