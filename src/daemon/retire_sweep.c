/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/bounded.h"
#include "daemon/candidate.h"
#include "daemon/retire.h"
#include "daemon/slurm.h"
#include "storage/ended.h"
#include "storage/next.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "wire/control.h"

/* A mark from the future is that of a node whose clock is wrong. */
static bool is_due(const struct conf *conf, const struct ended_mark *mark)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	uint64_t keep = candidate_keep_s(conf, mark->state);

	return keep != CANDIDATE_FOREVER && mark->at_ns <= now &&
	       (now - mark->at_ns) / NSEC_PER_SEC >= keep;
}

/* A job that another one of the same user is to go on from; "": any of them. */
struct source {
	uid_t uid;
	char job[JOB_ID_MAX];
};

/* What is found about one job, in a child of its own (bounded.h): shared. */
struct found {
	bool away;  /* slurmctld does not answer, it need not be asked again */
	bool blind; /* not all was seen: nothing is retired */
	bool named; /* a source */
	struct source source;
};

/* One look at the whole store. */
struct sweep {
	const struct conf *conf;
	struct found *found;
	struct bounded bounded;
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

static void add_source(struct sweep *s)
{
	s->found->named = false;
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		void *more =
			reallocarray(s->sources, room, sizeof(*s->sources));

		if (!more) {
			s->found->blind = true;
			return;
		}
		s->sources = more;
		s->room = room;
	}
	s->sources[s->count++] = s->found->source;
}

static void name_source(struct sweep *s, uid_t uid, const char *job)
{
	s->found->named = true;
	s->found->source.uid = uid;
	snprintf(s->found->source.job, JOB_ID_MAX, "%s", job);
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
		s->found->blind |= r != -ENOENT && r != -EPERM &&
				   r != -EACCES && r != -ENOTDIR;
		return;
	}
	uid = c.user.uid;
	/* Also where the file cannot be read to its end. */
	name_source(s, uid, "");
	r = next_read(c.job_fd, &c.user, &next, &err);
	candidate_done(&c);
	if (r == 0 && strcmp(next.source, name) != 0)
		name_source(s, uid, next.source);
	else if (r == 0 || r == -ENOENT || r == -EBADMSG)
		s->found->named = false;
}

/* 1: over, 0: it runs, or waits for its turn; CANDIDATE_UNKNOWN: Slurm forgot
 * it. */
static int ask_slurm(struct sweep *s, const struct candidate *c, char state[24],
		     struct err *err)
{
	struct slurm_job job = { 0 };
	uint64_t id;
	int r;

	if (s->found->away || parse_u64(c->name, UINT32_MAX, &id) < 0)
		return 0;
	r = slurm_query(s->conf->libexec, (uint32_t)id, &job, err);
	s->found->away = r < 0 && r != -ENOENT;
	if (s->found->away)
		return r;
	/* Another user's is another job, of a number that was given again. */
	if (r == -ENOENT || job.uid != c->user.uid)
		snprintf(job.state, sizeof(job.state), CANDIDATE_UNKNOWN);
	memcpy(state, job.state, sizeof(job.state));
	return !job.completing && candidate_is_over(state);
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

	if (r < 0 || s->found->away)
		return r;
	if (r == 0)
		return ended_clear(c->job_fd, &c->user, err);
	r = candidate_retire(c, err);
	if (r == 0)
		log_info(c->name,
			 "%s a while ago: its snapshots have been removed",
			 mark->state);
	return r;
}

static void sweep_job(struct sweep *s, const char *name)
{
	struct candidate c;
	struct ended_mark mark;
	char state[24];
	struct err err;
	int r;

	if (s->found->blind || candidate_open(s->conf, name, &c, &err) < 0)
		return;
	if (is_source(s, &c)) {
		candidate_done(&c);
		return;
	}
	r = ended_read(c.job_fd, &c.user, &mark, &err);
	if (r == 0 && is_due(s->conf, &mark) && !candidate_has_kept(&c)) {
		r = sweep_due(s, &c, &mark, &err);
	} else if (r == -ENOENT) {
		r = ask_slurm(s, &c, state, &err);
		/*
		 * Ended where nobody saw it: cancelled while it waited, say.
		 * It is not retired before a later sweep.
		 */
		if (r > 0)
			r = candidate_settle(&c, state, &err);
	}
	if (r < 0 && r != -ENOENT)
		log_warning(name, "its snapshots stay: %s", err.text);
	candidate_done(&c);
}

/* It was kept in the moment in which it was retired by who did not survive. */
static void take_back(const struct candidate *c)
{
	struct err unused;
	char job[NAME_MAX];

	snprintf(job, sizeof(job), "%s", c->name);
	*strchr(job, '.') = '\0';
	(void)ended_take_back(c->conf->store_dir, c->conf->cluster, job,
			      c->job_fd, &c->user, &unused);
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
	if (candidate_has_kept(&c))
		take_back(&c);
	else if (store_empty(c.job_fd, false, &c.user, &count, &err) == 0 &&
		 fstat(c.job_fd, &st) == 0 &&
		 time(NULL) - st.st_mtime > (time_t)conf->keep_unknown_s)
		(void)store_remove_job(conf->store_dir, conf->cluster, name,
				       &c.user, &err);
	candidate_done(&c);
}

struct task {
	struct sweep *s;
	void (*each)(struct sweep *, const char *);
	const char *name;
};

static void do_task(void *arg)
{
	const struct task *t = arg;

	t->each(t->s, t->name);
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
		struct task t = { s, each, entry->d_name };
		char *end;

		if (strtoul(t.name, &end, 10) == 0 ||
		    strcmp(end, retired ? ENDED_SUFFIX : "") != 0)
			continue;
		bounded_run(&s->bounded, s->conf, s->conf->cluster, t.name,
			    do_task, &t);
		if (s->found->named)
			add_source(s);
	}
}

int retire_sweep(const struct conf *conf)
{
	struct sweep s = { .conf = conf, .bounded = { .limit_s = BOUNDED_S } };

	s.found = mmap(NULL, sizeof(*s.found), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.found == MAP_FAILED)
		return 1;
	for_each(&s, look_for_source, false);
	for_each(&s, sweep_job, false);
	for_each(&s, sweep_retired, true);
	bounded_done(&s.bounded);
	free(s.sources);
	return 0;
}
