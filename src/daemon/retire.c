/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/retire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/kept.h"
#include "daemon/slurm.h"
#include "storage/ended.h"
#include "storage/history.h"
#include "storage/next.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"

/* slurmctld may be busy with the very end of this job. */
#define QUERY_TRIES 5

/* Slurm forgets jobs that ended some minutes ago. */
#define UNKNOWN "UNKNOWN"
#define FOREVER UINT64_MAX

/* One directory of the store. */
struct candidate {
	const struct conf *conf;
	const char *name; /* JOBID, or JOBID.retired */
	struct user_id user;
	int job_fd;
};

static void candidate_done(struct candidate *c)
{
	if (c->job_fd >= 0)
		close(c->job_fd);
	user_id_done(&c->user);
}

/* Its owner is its user: nobody can make a directory another's. */
static int candidate_open(const struct conf *conf, const char *name,
			  struct candidate *ret, struct err *err)
{
	struct candidate c = { .conf = conf, .name = name, .job_fd = -1 };
	char path[4096];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "%s/%s/%s", conf->store_dir, conf->cluster,
		 name);
	if (lstat(path, &st) < 0)
		return err_sys(err, "%s", path);
	r = user_id_of_file(&st, &c.user, err);
	if (r == 0)
		r = store_open_job(conf->store_dir, conf->cluster, name, false,
				   &c.user, &c.job_fd, err);
	if (r < 0)
		candidate_done(&c);
	else
		*ret = c;
	return r;
}

enum keep { KEEP_COMPLETED, KEEP_ENDED, KEEP_UNKNOWN, KEEP_FOREVER };

/* Words of Slurm's for jobs that are over, and our own. */
static const struct {
	const char *state;
	enum keep keep;
} ends[] = {
	{ "COMPLETED", KEEP_COMPLETED }, { "FAILED", KEEP_ENDED },
	{ "CANCELLED", KEEP_ENDED },     { "OUT_OF_MEMORY", KEEP_ENDED },
	{ "TIMEOUT", KEEP_FOREVER },     { "DEADLINE", KEEP_FOREVER },
	{ "PREEMPTED", KEEP_FOREVER },   { "NODE_FAIL", KEEP_FOREVER },
	{ "BOOT_FAIL", KEEP_FOREVER },   { UNKNOWN, KEEP_UNKNOWN },
};

static bool is_over(const char *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (strcmp(ends[i].state, state) == 0)
			return true;
	return false;
}

/* In seconds; a word that we do not know is none to delete anything for. */
static uint64_t keep_s(const struct conf *conf, const char *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		if (strcmp(ends[i].state, state) != 0)
			continue;
		if (ends[i].keep == KEEP_COMPLETED)
			return conf->keep_completed_s;
		if (ends[i].keep == KEEP_ENDED)
			return conf->keep_ended_s;
		if (ends[i].keep == KEEP_UNKNOWN)
			return conf->keep_unknown_s;
	}
	return FOREVER;
}

static int query(const struct conf *conf, const char *job_id,
		 struct slurm_job *ret, struct err *err)
{
	const struct timespec pause = { .tv_sec = 2 };
	uint64_t id;
	int try, r;

	if (parse_u64(job_id, UINT32_MAX, &id) < 0)
		return err_set(err, -EINVAL, "not a job of Slurm's");
	for (try = 0; try < QUERY_TRIES; try++) {
		r = slurm_query(conf->libexec, (uint32_t)id, ret, err);
		if (r == 0 || r == -ENOENT)
			break;
		nanosleep(&pause, NULL);
	}
	return r;
}

/* Somebody wants one of its snapshots; also when that cannot be seen. */
static bool has_kept(const struct candidate *c)
{
	bool kept = false;
	struct err unused;

	return store_keeps(c->job_fd, &c->user, &kept, &unused) < 0 || kept;
}

/* Claimed first: a job that starts again in this moment is not touched. */
static int retire(const struct candidate *c, struct err *err)
{
	int r = ended_claim(c->job_fd, &c->user, err);

	return r < 0 ? r
		     : ended_retire(c->conf->store_dir, c->conf->cluster,
				    c->name, &c->user, err);
}

static int write_mark(struct candidate *c, const char *state, struct err *err)
{
	struct control_info info = { .uid = c->user.uid, .gid = c->user.gid };
	struct ended_mark mark = { .at_ns = clock_ns(CLOCK_REALTIME) };
	uint64_t keep = keep_s(c->conf, state);

	snprintf(info.job_id, sizeof(info.job_id), "%s", c->name);
	snprintf(mark.state, sizeof(mark.state), "%s", state);

	if (keep == FOREVER)
		event_note(c->conf, &info, "ended", 0,
			   "%s: its snapshots stay until somebody deletes them",
			   state);
	else if (keep)
		event_note(
			c->conf, &info, "ended", 0,
			"%s: its snapshots stay for %llu %s", state,
			(unsigned long long)(keep < 7200 ? keep : keep / 3600),
			keep < 7200 ? "s" : "hours");
	else
		event_note(c->conf, &info, "ended", 0,
			   "%s: its snapshots are removed", state);
	return ended_write(c->job_fd, &c->user, &mark, err);
}

/*
 * Nothing is left to know of a job that has COMPLETED and was only started:
 * with default=on these are most jobs of a cluster.
 */
static bool is_quiet(const struct candidate *c, const char *state)
{
	auto_free struct store_generation *list = NULL;
	auto_free struct history_event *events = NULL;
	size_t count = 0, i;
	struct err err;
	int r;

	if (strcmp(state, "COMPLETED") != 0 ||
	    store_list(c->job_fd, &c->user, &list, &count, &err) < 0 || count)
		return false;
	r = history_read(c->job_fd, &c->user, &events, &count, &err);
	for (i = 0; r == 0 && i < count; i++)
		if (strcmp(events[i].kind, "started") != 0 ||
		    events[i].generation)
			return false;
	return r == 0 || r == -ENOENT;
}

/* By the same steps as any other, so that a new start is told. */
static int forget(const struct candidate *c, const char *state, struct err *err)
{
	struct ended_mark mark = { .at_ns = clock_ns(CLOCK_REALTIME) };
	char retired[NAME_MAX];
	int r;

	snprintf(mark.state, sizeof(mark.state), "%s", state);
	snprintf(retired, sizeof(retired), "%s" ENDED_SUFFIX, c->name);
	r = ended_write(c->job_fd, &c->user, &mark, err);
	if (r == 0)
		r = retire(c, err);
	if (r == 0)
		r = store_remove_job(c->conf->store_dir, c->conf->cluster,
				     retired, &c->user, err);
	return r;
}

/* What it had written may be aside still, for a start that never came. */
static void outputs_back(const struct candidate *c)
{
	struct err err;

	if (kept_outputs_undo(c->job_fd, &c->user, c->name, &err) < 0)
		log_warning(c->name, "%s", err.text);
}

/* A job is over, and not marked yet. */
static int settle(struct candidate *c, const char *state, struct err *err)
{
	int r;

	outputs_back(c);
	if (is_quiet(c, state))
		return forget(c, state, err);
	r = write_mark(c, state, err);
	return r == 0 && keep_s(c->conf, state) == 0 && !has_kept(c)
		       ? retire(c, err)
		       : r;
}

int retire_ended(const struct conf *conf, const char *job_id)
{
	struct slurm_job job = { 0 };
	struct candidate c;
	struct err err = { 0 };
	int r;

	/* Most jobs of a cluster have nothing in the store. */
	if (candidate_open(conf, job_id, &c, &err) < 0)
		return 0;
	r = query(conf, job_id, &job, &err);
	if (r == 0 && job.uid == c.user.uid && is_over(job.state))
		r = settle(&c, job.state, &err);
	if (r < 0 && r != -ENOENT)
		log_warning(job_id,
			    "its snapshots stay, though it has ended: "
			    "%s; jobcr delete removes them",
			    err.text);
	candidate_done(&c);
	return 0;
}

int retire_spare(const struct conf *conf, const char *job_id, uid_t uid,
		 gid_t gid, struct err *err)
{
	auto_close int job_fd = -EBADF;
	struct user_id user;
	int r = user_id_load(uid, gid, &user, err);

	if (r < 0)
		return r;
	r = store_open_job(conf->store_dir, conf->cluster, job_id, false, &user,
			   &job_fd, err);
	if (r == 0)
		r = ended_clear(job_fd, &user, err);
	if (r == -EBUSY) {
		/* Out of the way of what this run will write. */
		r = ended_retire(conf->store_dir, conf->cluster, job_id, &user,
				 err);
		if (r == 0)
			r = err_set(err, -ENOENT, "it has been retired");
	}
	user_id_done(&user);
	return r;
}

/* A mark from the future is that of a node whose clock is wrong. */
static bool is_due(const struct conf *conf, const struct ended_mark *mark)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	uint64_t keep = keep_s(conf, mark->state);

	return keep != FOREVER && mark->at_ns <= now &&
	       (now - mark->at_ns) / NSEC_PER_SEC >= keep;
}

/* A job that another one of the same user is to go on from; "": any of them. */
struct source {
	uid_t uid;
	char job[JOB_ID_MAX];
};

/* One look at the whole store. */
struct sweep {
	const struct conf *conf;
	bool away;  /* slurmctld does not answer, it need not be asked again */
	bool blind; /* not all was seen: nothing is retired */
	struct source *sources;
	size_t count, room;
};

static bool is_source(const struct sweep *s, const struct candidate *c)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct source *one = &s->sources[i];

		if (one->uid == c->user.uid &&
		    (!*one->job || strcmp(one->job, c->name) == 0))
			return true;
	}
	return false;
}

static void add_source(struct sweep *s, uid_t uid, const char *job)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		void *more = reallocarray(s->sources, room, sizeof(*s->sources));

		if (!more) {
			s->blind = true;
			return;
		}
		s->sources = more;
		s->room = room;
	}
	s->sources[s->count].uid = uid;
	snprintf(s->sources[s->count++].job, JOB_ID_MAX, "%s", job);
}

/*
 * A job that was submitted again goes on from a snapshot of another one.  The
 * file that says so is its user's, and is believed about that user's jobs only.
 */
static void look_for_source(struct sweep *s, const char *name)
{
	struct next_start next;
	struct candidate c;
	struct err err;
	uid_t uid;
	int r = candidate_open(s->conf, name, &c, &err);

	if (r < 0) {
		s->blind |= r != -ENOENT && r != -EPERM && r != -EACCES &&
			    r != -ENOTDIR;
		return;
	}
	uid = c.user.uid;
	r = next_read(c.job_fd, &c.user, &next, &err);
	candidate_done(&c);
	if (r == 0 && strcmp(next.source, name) != 0)
		add_source(s, uid, next.source);
	else if (r < 0 && r != -ENOENT && r != -EBADMSG)
		add_source(s, uid, "");
}

/* 1: over, 0: it runs, or waits for its turn; UNKNOWN: Slurm forgot it. */
static int ask_slurm(struct sweep *s, const struct candidate *c, char state[24],
		     struct err *err)
{
	struct slurm_job job = { 0 };
	uint64_t id;
	int r;

	if (s->away || parse_u64(c->name, UINT32_MAX, &id) < 0)
		return 0;
	r = slurm_query(s->conf->libexec, (uint32_t)id, &job, err);
	s->away = r < 0 && r != -ENOENT;
	if (s->away)
		return r;
	/* Another user's is another job, of a number that was given again. */
	if (r == -ENOENT || job.uid != c->user.uid)
		snprintf(job.state, sizeof(job.state), UNKNOWN);
	memcpy(state, job.state, sizeof(job.state));
	return !job.completing && is_over(state);
}

/*
 * Marked long enough: unless it waits in the queue again, where it is needed
 * as soon as it starts.
 */
static int sweep_due(struct sweep *s, struct candidate *c,
		     const struct ended_mark *mark, struct err *err)
{
	char state[24];
	int r = ask_slurm(s, c, state, err);

	if (r < 0 || s->away)
		return r;
	if (r == 0)
		return ended_clear(c->job_fd, &c->user, err);
	r = retire(c, err);
	if (r == 0)
		log_info(c->name,
			 "%s a while ago: its snapshots have been removed",
			 mark->state);
	return r;
}

/*
 * Ended where nobody saw it: cancelled while it waited, say.  It is not
 * retired before a later sweep.
 */
static int sweep_unseen(struct candidate *c, const char *state, struct err *err)
{
	outputs_back(c);
	return is_quiet(c, state) ? forget(c, state, err)
				  : write_mark(c, state, err);
}

static void sweep_job(struct sweep *s, const char *name)
{
	struct candidate c;
	struct ended_mark mark;
	char state[24];
	struct err err;
	int r;

	if (s->blind || candidate_open(s->conf, name, &c, &err) < 0)
		return;
	if (is_source(s, &c)) {
		candidate_done(&c);
		return;
	}
	r = ended_read(c.job_fd, &c.user, &mark, &err);
	if (r == 0 && is_due(s->conf, &mark) && !has_kept(&c)) {
		r = sweep_due(s, &c, &mark, &err);
	} else if (r == -ENOENT) {
		r = ask_slurm(s, &c, state, &err);
		if (r > 0)
			r = sweep_unseen(&c, state, &err);
	}
	if (r < 0 && r != -ENOENT)
		log_warning(name, "its snapshots stay: %s", err.text);
	candidate_done(&c);
}

/* What a sweep that was cut short has left, and histories that are old. */
static void sweep_retired(struct sweep *s, const char *name)
{
	const struct conf *conf = s->conf;
	struct candidate c;
	struct stat st;
	uint32_t count;
	struct err err;

	if (candidate_open(conf, name, &c, &err) < 0)
		return;
	if (!has_kept(&c) &&
	    store_empty(c.job_fd, &c.user, &count, &err) == 0 &&
	    fstat(c.job_fd, &st) == 0 &&
	    time(NULL) - st.st_mtime > (time_t)conf->keep_unknown_s)
		(void)store_remove_job(conf->store_dir, conf->cluster, name,
				       &c.user, &err);
	candidate_done(&c);
}

/* each is called for the names of jobs; retired: for those of retired ones. */
static void for_each(struct sweep *s,
		     void (*each)(struct sweep *, const char *), bool retired)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", s->conf->store_dir,
		 s->conf->cluster);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char *end;

		if (strtoul(entry->d_name, &end, 10) != 0 &&
		    strcmp(end, retired ? ENDED_SUFFIX : "") == 0)
			each(s, entry->d_name);
	}
}

int retire_sweep(const struct conf *conf)
{
	struct sweep s = { .conf = conf };

	for_each(&s, look_for_source, false);
	for_each(&s, sweep_job, false);
	for_each(&s, sweep_retired, true);
	free(s.sources);
	return 0;
}
