/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/drain_job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/cut.h"
#include "kernel/tree.h"
#include "operation/checkpoint.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/record.h"

/* A job that another child has in its hands is asked again. */
#define AGAIN (1 * NSEC_PER_SEC)

void drain_job_predict(const struct conf *conf, struct drain_row *row)
{
	struct control_info info;
	struct record_last last;
	struct record_rate rate;
	struct tree_look look;
	struct err unused;

	if (control_read_info(conf->run_dir, row->job_id, &info, &unused) < 0 ||
	    tree_look(info.init_pid, &look, &unused) < 0)
		return;
	row->page_bytes = look.bytes;
	if (record_read(conf->run_dir, NULL, RECORD_RATE, &rate, sizeof(rate),
			&unused) == 0 &&
	    rate.bytes_per_s)
		row->expected_ns =
			rate.fixed_ns + (uint64_t)((double)look.bytes /
						   (double)rate.bytes_per_s *
						   (double)NSEC_PER_SEC);
	else if (record_read(conf->run_dir, row->job_id, RECORD_LAST, &last,
			     sizeof(last), &unused) == 0)
		row->expected_ns = last.total_ns;
}

static void take_refusal(struct drain_row *row, const char *refusal,
			 const struct err *err)
{
	drain_say(row, "%s", *refusal ? refusal : err->text);
}

static void look(struct drain_table *t, struct drain_row *row,
		 const struct subject *s)
{
	const struct checkpoint c = { .info = &s->info,
				      .cause = "drain",
				      .look = true };
	const struct worker_hooks hooks = { 0 };
	struct err err = { 0 };
	char refusal[256] = "";
	Reply *reply = NULL;
	int r = checkpoint_job(s->conf, &c, &hooks, &reply, &err);

	if (reply) {
		r = reply->result;
		subject_say_refusal(reply, refusal, sizeof(refusal));
		err_set(&err, r, "%s", reply->text ? reply->text : "failed");
		reply__free_unpacked(reply, NULL);
	}
	if (r < 0)
		take_refusal(row, refusal, &err);
	drain_set(t, row,
		  r == 0          ? DRAIN_POSSIBLE
		  : r == -ENOTSUP ? DRAIN_REFUSED
				  : DRAIN_FAILED);
}

void drain_job_look(const struct conf *conf, struct drain_table *t,
		    struct drain_row *row)
{
	struct err err = { 0 };
	struct subject s;
	int r = subject_open(conf, row->job_id, CONTROL_ALIVE, &s, &err);

	if (r == 0) {
		look(t, row, &s);
		subject_done(&s);
		return;
	}
	if (r == -EBUSY) {
		drain_say(row, "a checkpoint of it is under way: not looked "
			       "at");
		drain_set(t, row, DRAIN_POSSIBLE);
		return;
	}
	drain_say(row, "it starts or ends just now: not looked at");
	drain_set(t, row, DRAIN_POSSIBLE);
}

struct saving {
	struct drain_table *t;
	struct drain_row *row;
};

static void tell_phase(void *arg, const char *phase)
{
	const struct saving *saving = arg;

	if (strcmp(phase, "freeze") == 0)
		saving->row->frozen_at_ns = clock_monotonic_ns();
	snprintf(saving->row->phase, sizeof(saving->row->phase), "%s", phase);
	drain_changed(saving->t, saving->row);
}

static void take_result(struct drain_table *t, struct drain_row *row, int r,
			const struct cut_result *res, const struct err *err)
{
	enum drain_state state = DRAIN_FAILED;

	if (r < 0)
		take_refusal(row, res->refusal, err);
	else
		row->text[0] = '\0';
	row->generation = res->generation;
	if (res->requeued) {
		state = t->hold ? DRAIN_HELD : DRAIN_QUEUED;
		row->page_bytes = res->page_bytes;
		row->total_ns = res->total_ns;
		row->frozen_ns = res->frozen_ns;
	} else if (r == 0) {
		drain_say(row, "the snapshot is there, but Slurm did not "
			       "requeue the job: see the log of jobcrd");
	} else if (r == -ENOTSUP) {
		state = DRAIN_REFUSED;
	}
	row->phase[0] = '\0';
	drain_set(t, row, state);
}

static void save(struct drain_table *t, struct drain_row *row,
		 struct subject *s)
{
	struct saving saving = { .t = t, .row = row };
	const struct cut cut = {
		.cause = "drain",
		.after = t->hold ? CUT_REQUEUE_HOLD : CUT_REQUEUE,
		.reason = t->reason,
		.phase = tell_phase,
		.arg = &saving,
	};
	struct cut_result res;
	struct err err = { 0 };
	int r;

	subject_note(s, "drain", 0, "the node is drained: checkpoint");
	r = cut_job(s, &cut, &res, &err);
	take_result(t, row, r, &res, &err);
}

/* It starts, is restored, or somebody else saves it at the moment. */
static void later(struct drain_table *t, struct drain_row *row)
{
	row->retry_ns = clock_monotonic_ns() + AGAIN;
	drain_set(t, row, DRAIN_WAITING);
}

void drain_job_save(const struct conf *conf, struct drain_table *t,
		    struct drain_row *row)
{
	struct err err = { 0 };
	struct subject s;
	int r = subject_open(conf, row->job_id, CONTROL_ALIVE, &s, &err);

	if (r == 0) {
		save(t, row, &s);
		subject_done(&s);
	} else {
		later(t, row);
	}
}
