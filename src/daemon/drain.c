/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/drain.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/drain_job.h"
#include "daemon/drain_work.h"
#include "daemon/slurm_node.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define REPORT_MS 300
/* Rows of one reply: well below FRAME_MAX. */
#define CHUNK 50

bool drain_is_asked(const Request *req)
{
	return req->op == REQUEST__OPERATION__DRAIN ||
	       req->op == REQUEST__OPERATION__UNDRAIN;
}

/* ---- telling a client
 * ------------------------------------------------------*/

struct report {
	const struct operation *op;
	struct drain_table *t;
	uint32_t told; /* changes up to here */
	const char *note;
};

static void fill(struct drain_row *row, DrainEntry *e)
{
	uint64_t now = clock_monotonic_ns();

	drain_entry__init(e);
	e->job_id = row->job_id;
	e->uid = row->uid;
	e->state = row->state;
	e->before = row->before;
	e->phase = row->phase;
	e->node = row->node;
	e->text = row->text;
	e->has_elapsed_ns = row->state == DRAIN_SAVING;
	e->elapsed_ns = now - row->since_ns;
	e->has_expected_ns = row->expected_ns != 0;
	e->expected_ns = row->expected_ns;
	e->has_page_bytes = row->page_bytes != 0;
	e->page_bytes = row->page_bytes;
	e->has_frozen_ns = row->frozen_ns != 0;
	e->frozen_ns = row->frozen_ns;
	e->has_total_ns = row->total_ns != 0;
	e->total_ns = row->total_ns;
	e->has_away_ns = row->away_ns != 0;
	e->away_ns = row->away_ns;
	e->has_generation = row->generation != 0;
	e->generation = row->generation;
	e->has_done_before = e->done_before = row->done_before;
}

/* Somebody may be writing it: only what ends within its field is read. */
static void copy_row(const struct drain_row *from, struct drain_row *ret)
{
	memcpy(ret, from, sizeof(*ret));
	ret->job_id[sizeof(ret->job_id) - 1] = '\0';
	ret->before[sizeof(ret->before) - 1] = '\0';
	ret->phase[sizeof(ret->phase) - 1] = '\0';
	ret->node[sizeof(ret->node) - 1] = '\0';
	ret->text[sizeof(ret->text) - 1] = '\0';
}

/* Of all that is still to be saved, with as many at a time as there may be. */
static uint64_t predict_rest(const struct report *rep)
{
	uint64_t now = clock_monotonic_ns(), sum = 0, longest = 0;
	uint32_t i;

	for (i = 0; i < rep->t->count; i++) {
		const struct drain_row *row = &rep->t->rows[i];
		uint64_t rest = row->expected_ns;

		if (!drain_is_open(row))
			continue;
		if (row->state == DRAIN_SAVING)
			rest -= rest < now - row->since_ns
					? rest
					: now - row->since_ns;
		sum += rest;
		if (rest > longest)
			longest = rest;
	}
	sum /= rep->op->conf->drain_jobs;
	return sum > longest ? sum : longest;
}

static int send_rows(struct report *rep, struct drain_row *rows, size_t count,
		     bool more)
{
	DrainEntry entries[CHUNK], *list[CHUNK];
	Reply reply = REPLY__INIT;
	size_t i;

	for (i = 0; i < count; i++) {
		fill(&rows[i], &entries[i]);
		list[i] = &entries[i];
	}
	reply.has_more = reply.more = more;
	reply.drain = list;
	reply.n_drain = count;
	reply.has_left_ns = 1;
	reply.left_ns = predict_rest(rep);
	reply.note = (char *)rep->note;
	rep->note = NULL;
	return rep->op->reply(rep->op->arg, &reply);
}

/* Each row that changed; those that are saved just now, for the clock. */
static int send_changes(struct report *rep)
{
	struct drain_row *rows = calloc(CHUNK, sizeof(*rows));
	bool events = rep->op->req->has_events && rep->op->req->events;
	uint32_t change = __atomic_load_n(&rep->t->change, __ATOMIC_ACQUIRE);
	uint32_t count = __atomic_load_n(&rep->t->count, __ATOMIC_ACQUIRE), i;
	size_t n = 0;
	int r = rows ? 0 : -ENOMEM;

	for (i = 0; r >= 0 && i < count; i++) {
		const struct drain_row *row = &rep->t->rows[i];

		if (row->change <= rep->told &&
		    !(events && row->state == DRAIN_SAVING))
			continue;
		copy_row(row, &rows[n++]);
		if (n == CHUNK) {
			r = send_rows(rep, rows, n, true);
			n = 0;
		}
	}
	if (r >= 0 && (n || rep->note))
		r = send_rows(rep, rows, n, true);
	rep->told = change;
	free(rows);
	return r;
}

static int send_end(struct report *rep, struct err *err)
{
	if (*rep->t->error)
		return err_set(err, -EIO,
			       "%s: the node is drained, its jobs "
			       "go on: drain it again",
			       rep->t->error);
	return send_rows(rep, NULL, 0, false);
}

/* ---- the process that drains
 * ------------------------------------------------*/

static void summarise(const struct drain_table *t)
{
	unsigned int left = 0, stay = 0;
	uint32_t i;

	for (i = 0; i < t->count; i++) {
		left += drain_has_left(&t->rows[i]);
		stay += !drain_has_left(&t->rows[i]);
	}
	log_info(NULL, "drain: over; %u job%s left the node, %u stay%s", left,
		 left == 1 ? "" : "s", stay, stay == 1 ? "s" : "");
}

/* The lock is held by it, and by what it starts, until the last has ended. */
static int start_work(const struct operation *op, struct drain_table *t,
		      struct err *err)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(err, "fork");
	if (pid > 0)
		return 0;
	setsid();
	if (op->peer_fd >= 0)
		close(op->peer_fd);
	drain_work(op->conf, t);
	summarise(t);
	_exit(0);
}

/* What an earlier drain of the same node has done is kept. */
static void keep_rows(struct drain_table *t)
{
	uint32_t i, n = 0;

	for (i = 0; i < t->count; i++) {
		if (!drain_has_left(&t->rows[i]))
			continue;
		t->rows[n] = t->rows[i];
		t->rows[n].done_before = 1;
		t->rows[n].pid = 0;
		n++;
	}
	t->count = n;
}

static void reset(struct drain_table *t, const Request *req, bool again)
{
	uint32_t i;

	if (again)
		keep_rows(t);
	else
		t->count = 0;
	t->change = 0;
	t->hold = req->has_hold && req->hold;
	t->stop = t->over = 0;
	t->error[0] = '\0';
	t->deadline_ns = 0;
	if (req->has_deadline_s && req->deadline_s)
		t->deadline_ns =
			clock_monotonic_ns() + req->deadline_s * NSEC_PER_SEC;
	for (i = 0; i < t->count; i++)
		drain_changed(t, &t->rows[i]);
}

/*
 * A reason of somebody else's is kept, unless the caller gives one: it says
 * why the node is out of use.
 */
static int drain_node(const struct operation *op, struct drain_table *t,
		      bool *ret_again, struct err *err)
{
	const struct conf *conf = op->conf;
	const char *reason = op->req->reason;
	struct slurm_node node;
	int r = slurm_node_query(conf->libexec, conf->node, &node, err);

	if (r < 0)
		return r;
	*ret_again = node.drained;
	if (!node.drained || reason)
		r = slurm_node_drain(conf->libexec, conf->node,
				     reason ? reason : "jobcr drain",
				     op->caller->uid, err);
	if (r < 0)
		return r;
	snprintf(t->reason, sizeof(t->reason), "%.127s",
		 reason         ? reason
		 : node.drained ? node.reason
				: "jobcr drain");
	return 0;
}

/* 1: it works; 0: another one does. */
static int begin(const struct operation *op, struct drain_table *t,
		 struct err *err)
{
	auto_close int lock = -EBADF;
	bool again = false;
	int r = drain_table_lock(op->conf->run_dir, &lock, err);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = drain_node(op, t, &again, err);
	if (r < 0)
		return r;
	log_info(NULL, "drain: asked for by uid %u%s", op->caller->uid,
		 again ? "; the node was drained before" : "");
	reset(t, op->req, again);
	r = start_work(op, t, err);
	return r < 0 ? r : 1;
}

/* It was killed: what it did is in the table, the rest is left to do. */
static int take_over(const struct operation *op, struct drain_table *t,
		     struct err *err)
{
	auto_close int lock = -EBADF;
	int r = drain_table_lock(op->conf->run_dir, &lock, err);
	uint32_t i;

	if (r == -EAGAIN)
		return 0;
	/* Over, and its end seen a moment too late. */
	if (r < 0 || __atomic_load_n(&t->over, __ATOMIC_ACQUIRE))
		return r;
	log_warning(NULL, "drain: the process that drained was killed: "
			  "another one goes on");
	for (i = 0; i < t->count; i++) {
		t->rows[i].pid = 0;
		if (t->rows[i].state == DRAIN_SAVING)
			drain_set(t, &t->rows[i], DRAIN_WAITING);
	}
	return start_work(op, t, err);
}

static int drain(const struct operation *op, struct drain_table *t,
		 struct err *err)
{
	struct pollfd peer = { op->peer_fd, POLLRDHUP, 0 };
	struct report rep = { .op = op, .t = t };
	int r = begin(op, t, err);
	bool over;

	if (r < 0)
		return r;
	if (r == 0) {
		rep.note = "a drain of this node is under way: following it";
		r = send_rows(&rep, NULL, 0, true);
	}
	for (;;) {
		over = __atomic_load_n(&t->over, __ATOMIC_ACQUIRE);
		if (peer.revents || send_changes(&rep) < 0)
			return err_set(err, -EPIPE, "nobody listens any more");
		if (over)
			return send_end(&rep, err);
		r = take_over(op, t, err);
		if (r < 0)
			return r;
		(void)poll(&peer, 1, REPORT_MS);
	}
}

/* ---- dry run, undrain
 * --------------------------------------------------------*/

static int dry_run(const struct operation *op, struct err *err)
{
	struct drain_table *t = calloc(1, sizeof(*t));
	struct report rep = { .op = op, .t = t };
	uint32_t i;
	int r;

	if (!t)
		return err_num(err, ENOMEM, "drain");
	r = drain_scan(op->conf, t, err);
	for (i = 0; r == 0 && i < t->count; i++) {
		if (t->rows[i].state == DRAIN_WAITING)
			drain_job_look(op->conf, t, &t->rows[i]);
		if (send_changes(&rep) < 0)
			r = err_set(err, -EPIPE, "nobody listens any more");
	}
	if (r == 0)
		r = send_rows(&rep, NULL, 0, false);
	free(t);
	return r;
}

static int undrain(const struct operation *op, struct drain_table *t,
		   struct err *err)
{
	Reply done = REPLY__INIT;
	int r;

	/* First: nothing more is begun on a node that is in use again. */
	t->stop = 1;
	r = slurm_node_undrain(op->conf->libexec, op->conf->node, err);
	if (r < 0)
		return r;
	log_info(NULL, "undrain: asked for by uid %u", op->caller->uid);
	return op->reply(op->arg, &done);
}

static int authorise(const struct operation *op, struct err *err)
{
	struct err unused;

	/* A node is root's. */
	if (operation_authorise(op->conf, op->caller, 0, "", &unused) == 0)
		return 0;
	return err_set(err, -EACCES,
		       "only operators drain node %s: uid %u is neither root, "
		       "SlurmUser nor one of Operators in its jobcr.conf",
		       op->conf->node, op->caller->uid);
}

static int serve(const struct operation *op, struct err *err)
{
	struct drain_table *t;
	int r = authorise(op, err);

	if (r < 0)
		return r;
	if (op->req->has_look && op->req->look &&
	    op->req->op == REQUEST__OPERATION__DRAIN)
		return dry_run(op, err);
	r = drain_table_open(op->conf->run_dir, &t, err);
	if (r < 0)
		return r;
	r = op->req->op == REQUEST__OPERATION__DRAIN ? drain(op, t, err)
						     : undrain(op, t, err);
	drain_table_close(t);
	return r;
}

int drain_serve(const struct operation *op, struct err *err)
{
	int r = serve(op, err);

	if (r < 0 && r != -EPIPE)
		(void)operation_reply_error(op, r, err->text);
	return r;
}
