/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/tree.h"
#include "operation/counters.h"
#include "util/clock.h"

/*
 * How fast the node is, learned from checkpoints with pages enough to tell:
 * the newest counts for a third.
 */
#define RATE_BYTES_MIN (16ull << 20)
#define RATE_SHARE     3

static void write_doing(struct progress *p)
{
	struct err unused;

	(void)record_write(p->conf->run_dir, p->info->job_id, RECORD_DOING,
			   &p->doing, sizeof(p->doing), &unused);
}

static void tell_phase(void *arg, const char *phase)
{
	struct progress *p = arg;

	snprintf(p->doing.phase, sizeof(p->doing.phase), "%s", phase);
	write_doing(p);
	if (p->above->phase)
		p->above->phase(p->above->arg, phase);
}

static bool ask_proceed(void *arg)
{
	struct progress *p = arg;

	return p->above->proceed(p->above->arg);
}

static bool tell_published(void *arg, uint32_t generation, bool gone)
{
	struct progress *p = arg;

	return p->above->published(p->above->arg, generation, gone);
}

void progress_begin(struct progress *p, const struct conf *conf,
		    const struct control_info *info,
		    const struct worker_hooks *above, const char *what,
		    const char *cause)
{
	struct tree_look look = { 0 };
	struct err unused;

	memset(p, 0, sizeof(*p));
	p->conf = conf;
	p->info = info;
	p->above = above;
	p->hooks.phase = tell_phase;
	p->hooks.proceed = above->proceed ? ask_proceed : NULL;
	p->hooks.published = above->published ? tell_published : NULL;
	p->hooks.arg = p;
	(void)record_read(conf->run_dir, info->job_id, RECORD_LAST, &p->last,
			  sizeof(p->last), &unused);
	if (tree_look(info->init_pid, &look, &unused) == 0)
		p->tree_bytes = look.bytes;
	p->doing.pid = getpid();
	p->doing.since_ns = clock_monotonic_ns();
	p->doing.expected_ns = p->last.total_ns;
	snprintf(p->doing.what, sizeof(p->doing.what), "%s", what);
	snprintf(p->doing.cause, sizeof(p->doing.cause), "%s", cause);
	write_doing(p);
}

/* What is read again is, of a job that ends, while it is pinned. */
static uint64_t own_time(const Outcome *o)
{
	return o->total_ns > o->checked_ns ? o->total_ns - o->checked_ns : 0;
}

static void learn_rate(const struct conf *conf, const Outcome *o)
{
	struct record_rate rate;
	struct err unused;
	uint64_t speed, fixed;

	if (o->page_bytes < RATE_BYTES_MIN || !o->pages_ns ||
	    own_time(o) < o->pages_ns)
		return;
	speed = (uint64_t)((double)o->page_bytes * (double)NSEC_PER_SEC /
			   (double)o->pages_ns);
	fixed = own_time(o) - o->pages_ns;
	(void)record_read(conf->run_dir, NULL, RECORD_RATE, &rate, sizeof(rate),
			  &unused);
	if (rate.samples) {
		speed = (rate.bytes_per_s * (RATE_SHARE - 1) + speed) /
			RATE_SHARE;
		fixed = (rate.fixed_ns * (RATE_SHARE - 1) + fixed) / RATE_SHARE;
	}
	rate.samples++;
	rate.bytes_per_s = speed;
	rate.fixed_ns = fixed;
	(void)record_write(conf->run_dir, NULL, RECORD_RATE, &rate,
			   sizeof(rate), &unused);
}

/* Until jobcrd has flushed it; it looks all the time. */
static void note_fast(const struct progress *p, const Outcome *o)
{
	struct record_flush flush = { .generation = o->generation };
	struct err unused;

	if (o->has_fast && o->fast)
		(void)record_write(p->conf->run_dir, p->info->job_id,
				   RECORD_FLUSH, &flush, sizeof(flush),
				   &unused);
}

static void take_success(struct progress *p, const Outcome *o)
{
	struct record_last last = {
		.generation = o->generation,
		.at_ns = clock_ns(CLOCK_REALTIME),
		.at_mono = clock_monotonic_ns(),
		.frozen_ns = o->frozen_ns,
		.total_ns = own_time(o),
		.pages_ns = o->pages_ns,
		.page_bytes = o->page_bytes,
		.borrowed_bytes = o->borrowed_bytes,
		.tree_bytes = p->tree_bytes,
	};

	snprintf(last.cause, sizeof(last.cause), "%s", p->doing.cause);
	p->last = last;
	note_fast(p, o);
	/* It says nothing of the store, which others have to wait for. */
	if (!o->has_fast || !o->fast)
		learn_rate(p->conf, o);
}

static void take_failure(struct progress *p, int result, const char *text)
{
	p->last.failed_ns = clock_ns(CLOCK_REALTIME);
	p->last.failed = result;
	snprintf(p->last.text, sizeof(p->last.text), "%.*s",
		 (int)sizeof(p->last.text) - 1, text);
}

void progress_end_checkpoint(struct progress *p, int r, const Reply *reply,
			     const struct err *err)
{
	struct err unused;

	counters_checkpoint(p->conf, p->doing.cause, reply ? reply->result : r,
			    reply && reply->result >= 0 ? reply->outcome
							: NULL);
	if (reply && reply->result >= 0 && reply->outcome)
		take_success(p, reply->outcome);
	else if (reply)
		take_failure(p, reply->result,
			     reply->text ? reply->text : "failed");
	else
		take_failure(p, r, err->text);
	(void)record_write(p->conf->run_dir, p->info->job_id, RECORD_LAST,
			   &p->last, sizeof(p->last), &unused);
	record_remove(p->conf->run_dir, p->info->job_id, RECORD_DOING);
}

void progress_end_restore(struct progress *p)
{
	record_remove(p->conf->run_dir, p->info->job_id, RECORD_DOING);
}
