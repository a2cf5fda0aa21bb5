/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/due.h"
#include "daemon/event.h"
#include "daemon/limits.h"
#include "kernel/tree.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/notify.h"

/* How often a tree is measured. */
#define LOOK_S 30
/* slurmctld is asked at this rate, or the second one when a limit is near. */
#define LIMITS_S      300
#define LIMITS_NEAR_S 30
#define NEAR_S        900
/* "auto" while nothing is known of what a snapshot costs. */
#define UNKNOWN_S 600
/* WindowInterval: as if a job were preempted so often. */
#define PREEMPTION_S 86400
/* A requeue before the time limit that failed is tried again soon. */
#define LIMIT_AGAIN_S 10

static uint32_t to_seconds(uint64_t ns)
{
	uint64_t s = (ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC;

	return s < PLAN_NEVER - 1 ? (uint32_t)s : PLAN_NEVER - 1;
}

void plan_read(const struct conf *conf, const struct control_info *info,
	       struct plan_facts *f)
{
	const char *dir = conf->run_dir, *id = info->job_id;
	struct err unused;

	f->info = info;
	(void)record_read(dir, id, RECORD_PLAN, &f->plan, sizeof(f->plan),
			  &unused);
	(void)record_read(dir, id, RECORD_LAST, &f->last, sizeof(f->last),
			  &unused);
	(void)record_read(dir, id, RECORD_TURN, &f->turn, sizeof(f->turn),
			  &unused);
	(void)record_read(dir, id, RECORD_TURN_LIMIT, &f->limit_turn,
			  sizeof(f->limit_turn), &unused);
	(void)record_read(dir, id, RECORD_LIMITS, &f->limits, sizeof(f->limits),
			  &unused);
	(void)record_read(dir, NULL, RECORD_RATE, &f->rate, sizeof(f->rate),
			  &unused);
}

/* Does a preemption leave less time than a snapshot takes? */
static bool window_is_short(const struct record_plan *p)
{
	return p->needed_s && p->window_s && p->window_s != PLAN_NEVER &&
	       p->needed_s > p->window_s;
}

/* As asked for: seconds or JOB_INTERVAL_AUTO. */
static uint32_t choose_interval(const struct conf *conf,
				const struct plan_facts *f,
				uint32_t *ret_source)
{
	*ret_source = PLAN_USER;
	if (f->info->options.interval_s)
		return f->info->options.interval_s;
	*ret_source = PLAN_SITE;
	if (conf->snapshot_interval_s && f->info->slurm)
		return conf->snapshot_interval_s;
	*ret_source = PLAN_WINDOW;
	if (conf->window_interval_s && window_is_short(&f->plan))
		return conf->window_interval_s;
	*ret_source = PLAN_NONE;
	return 0;
}

static uint32_t optimum(const struct conf *conf, const struct plan_facts *f,
			uint64_t duration)
{
	uint64_t cost = f->last.generation ? f->last.frozen_ns : duration;
	uint32_t mtbf = conf->mtbf_s;

	if (!cost)
		return UNKNOWN_S;
	/* What it is kept for is a preemption, not a failure. */
	if (f->plan.source == PLAN_WINDOW && mtbf > PREEMPTION_S)
		mtbf = PREEMPTION_S;
	return due_optimum(cost, duration, mtbf);
}

static void warn(const struct plan_facts *f, struct record_plan *p)
{
	const struct job_options *o = &f->info->options;

	p->text[0] = '\0';
	if (window_is_short(p))
		snprintf(p->text, sizeof(p->text),
			 "needs %u s, window is %u s: %s", p->needed_s,
			 p->window_s,
			 p->interval_s ? "a preemption falls back to the last "
					 "periodic snapshot"
				       : "a preemption may lose the job's work "
					 "(--jobcr-interval, or a longer "
					 "GraceTime)");
	else if (f->turn.failures)
		snprintf(p->text, sizeof(p->text),
			 "%u periodic snapshot%s failed: %.200s",
			 f->turn.failures, f->turn.failures == 1 ? "" : "s",
			 f->last.text);
	else if (o->timelimit_s && f->limits.limit_s &&
		 o->timelimit_s > f->limits.limit_s / 2)
		snprintf(p->text, sizeof(p->text),
			 "--jobcr-timelimit=%us is more than half of the time "
			 "limit: it is requeued %u s before it",
			 o->timelimit_s, f->limits.limit_s / 2);
}

uint64_t plan_due(const struct plan_facts *f)
{
	const struct record_plan *p = &f->plan;
	const struct record_turn *t = &f->turn;

	if (!p->interval_s)
		return 0;
	/* Somebody's own snapshot counts, too. */
	if (f->last.generation && f->last.at_mono > t->ended_mono)
		return f->last.at_mono + p->interval_s * NSEC_PER_SEC;
	if (!t->number)
		return due_first(p->since_mono, p->interval_s, f->info->job_id);
	if (t->result < 0)
		return due_again(t->ended_mono, p->interval_s, t->failures);
	return due_next(t->due_mono, t->ended_mono, p->interval_s);
}

uint64_t plan_limit_due(const struct plan_facts *f)
{
	const struct record_turn *t = &f->limit_turn;
	uint64_t due, again;

	if (!f->info->options.timelimit_s || !f->limits.end_mono)
		return 0;
	due = due_before_limit(f->limits.end_mono, f->limits.limit_s,
			       f->info->options.timelimit_s);
	if (!t->number)
		return due;
	/* It has one, and cannot be requeued. */
	if (t->result == 0)
		return 0;
	again = t->ended_mono + LIMIT_AGAIN_S * NSEC_PER_SEC;
	return again > due ? again : due;
}

static uint64_t on_the_clock(uint64_t due, uint64_t now)
{
	uint64_t real = clock_ns(CLOCK_REALTIME);

	if (!due)
		return 0;
	return due > now ? real + (due - now) : real;
}

static void measure(struct plan_facts *f, uint64_t now)
{
	struct record_plan *p = &f->plan;
	struct tree_look look;
	struct err unused;

	if (p->look_mono && now - p->look_mono < LOOK_S * NSEC_PER_SEC)
		return;
	if (tree_look(f->info->init_pid, &look, &unused) == 0)
		p->tree_bytes = look.bytes;
	p->look_mono = now;
}

/* What PauseMode comes to on this node: see engine/hold.h. */
static bool can_pin(const struct conf *conf)
{
	auto_close int fd = -EBADF;

	if (conf->pause == CONF_PAUSE_STOP)
		return false;
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return fd >= 0;
}

void plan_make(const struct conf *conf, struct plan_facts *f, uint64_t now)
{
	struct record_plan *p = &f->plan;
	uint64_t duration, all;
	uint32_t interval;

	if (!p->since_mono || p->since_mono > now) {
		memset(p, 0, sizeof(*p));
		p->since_mono = now;
	}
	measure(f, now);
	p->bytes = due_bytes(&f->last, p->tree_bytes);
	duration = due_duration(&f->last, &f->rate, p->bytes);
	/* One that ends the job reads the rest, or has to write it. */
	all = p->bytes + f->last.borrowed_bytes;
	p->needed_s = to_seconds(
		can_pin(conf) ? due_until_pinned(&f->last, &f->rate, all)
			      : due_duration(&f->last, &f->rate, all));
	p->window_s = f->limits.window_s;
	interval = choose_interval(conf, f, &p->source);
	p->automatic = interval == JOB_INTERVAL_AUTO;
	p->interval_s = p->automatic ? optimum(conf, f, duration) : interval;
	p->skipped = f->turn.skipped;
	p->failures = f->turn.failures;
	warn(f, p);
	p->next_ns = on_the_clock(plan_due(f), now);
	p->end_ns = on_the_clock(f->limits.end_mono, now);
	p->limit_ns = on_the_clock(plan_limit_due(f), now);
}

int plan_lock(const struct conf *conf, const char *job_id, bool limit,
	      int *ret_fd, struct err *err)
{
	auto_close int fd = -EBADF;
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs/%s/%s.lock", conf->run_dir,
		 job_id, limit ? RECORD_TURN_LIMIT : RECORD_TURN);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(err, -EBUSY, "already at work")
			       : err_sys(err, "%s", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static void hint(const struct conf *conf, const char *job_id, bool limit,
		 uint64_t due, uint64_t now)
{
	auto_close int fd = -EBADF;
	struct err unused;

	if (!due || due > now ||
	    plan_lock(conf, job_id, limit, &fd, &unused) < 0)
		return;
	close(take_fd(&fd));
	(void)notify_send(conf->run_dir, job_id, NOTIFY_TURN, limit, &unused);
}

static bool wants_limits(const struct plan_facts *f, uint64_t now)
{
	const struct record_limits *l = &f->limits;
	uint64_t age = now - l->look_mono;

	if (!f->info->slurm)
		return false;
	if (!l->look_mono || age >= LIMITS_S * NSEC_PER_SEC)
		return true;
	return f->info->options.timelimit_s && l->end_mono &&
	       l->end_mono < now + NEAR_S * NSEC_PER_SEC &&
	       age >= LIMITS_NEAR_S * NSEC_PER_SEC;
}

/* true: Slurm is to be asked about it. */
static bool look_at(const struct conf *conf, const struct control_info *info)
{
	uint64_t now = clock_monotonic_ns();
	struct plan_facts f;
	struct err unused;
	bool was_short;

	plan_read(conf, info, &f);
	was_short = window_is_short(&f.plan);
	plan_make(conf, &f, now);
	(void)record_write(conf->run_dir, info->job_id, RECORD_PLAN, &f.plan,
			   sizeof(f.plan), &unused);
	if (!was_short && window_is_short(&f.plan))
		event_note(conf, info, "warning", 0, "%s", f.plan.text);
	hint(conf, info->job_id, true, plan_limit_due(&f), now);
	hint(conf, info->job_id, false, plan_due(&f), now);
	return wants_limits(&f, now);
}

int plan_pass(const struct conf *conf)
{
	uint32_t ask[LIMITS_JOBS_MAX];
	auto_free struct control_info *jobs = NULL;
	size_t n, i, nask = 0;
	struct err unused;

	if (control_list(conf->run_dir, &jobs, &n, &unused) < 0)
		return 1;
	for (i = 0; i < n; i++)
		if (jobs[i].state == CONTROL_ALIVE && look_at(conf, &jobs[i]) &&
		    nask < LIMITS_JOBS_MAX)
			ask[nask++] = jobs[i].slurm;
	if (nask)
		limits_refresh_apart(conf, ask, nask);
	return 0;
}

bool plan_needed(const struct conf *conf)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs", conf->run_dir);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			return true;
	return false;
}
