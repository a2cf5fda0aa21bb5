/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "operation/parts.h"
#include "util/cleanup.h"
#include "wire/control.h"

/* Entries of one reply: well below FRAME_MAX. */
#define LIST_CHUNK 100

static void fill_entry(const struct operation *op,
		       const struct control_info *info, JobEntry *e)
{
	struct control_ended ended;
	struct err unused;

	job_entry__init(e);
	e->job_id = (char *)info->job_id;
	e->state = info->state;
	e->uid = info->uid;
	e->started_ns = info->started_ns;
	e->name = (char *)info->name;
	e->has_root_pid = e->has_init_pid = e->has_supervisor_pid = 1;
	e->root_pid = info->root_pid;
	e->init_pid = info->init_pid;
	e->supervisor_pid = info->supervisor_pid;
	e->has_generation = info->generation != 0;
	e->generation = info->generation;
	e->has_slurm = info->slurm != 0;
	e->slurm = info->slurm;
	e->node = op->conf->node;
	if (info->state != CONTROL_ENDED && info->state != CONTROL_LEFT)
		return;
	if (control_read_ended(op->conf->run_dir, info->job_id, &ended,
			       &unused) == 0) {
		e->has_status = e->has_ended_ns = 1;
		e->status = (uint32_t)ended.wait_status;
		e->ended_ns = ended.ended_ns;
	}
}

static bool may_see(const struct operation *op, const struct control_info *i)
{
	struct err unused;

	return operation_authorise(op->conf, op->caller, i->uid, i->job_id,
				   &unused) == 0;
}

static int send_entries(const struct operation *op, JobEntry *entries,
			size_t count, bool more)
{
	JobEntry *list[LIST_CHUNK];
	Reply reply = REPLY__INIT;
	size_t i;

	for (i = 0; i < count; i++)
		list[i] = &entries[i];
	reply.has_more = more;
	reply.more = more;
	reply.jobs = list;
	reply.n_jobs = count;
	return op->reply(op->arg, &reply);
}

/* Entries of up to LIST_CHUNK jobs, with facts if they are wanted. */
static int send_infos(const struct operation *op,
		      const struct control_info *infos, size_t count, bool more,
		      struct err *err)
{
	bool wanted = op->req->has_facts && op->req->facts;
	auto_free struct job_facts *facts =
		wanted ? calloc(count + 1, sizeof(*facts)) : NULL;
	JobEntry entries[LIST_CHUNK];
	size_t i;

	if (wanted && !facts)
		return err_num(err, ENOMEM, "list of jobs");
	for (i = 0; i < count; i++) {
		fill_entry(op, &infos[i], &entries[i]);
		if (!wanted)
			continue;
		status_read(op->conf, &infos[i], &facts[i]);
		entries[i].facts = &facts[i].facts;
	}
	if (wanted)
		status_look(op->conf, infos, facts, count);
	return send_entries(op, entries, count, more);
}

int operation_list(const struct operation *op, struct err *err)
{
	auto_free struct control_info *list = NULL;
	size_t count, at, n, i, seen = 0;
	int r = control_list(op->conf->run_dir, &list, &count, err);

	if (r < 0)
		return r;
	for (i = 0; i < count; i++)
		if (may_see(op, &list[i]))
			list[seen++] = list[i];
	at = 0;
	do {
		n = seen - at < LIST_CHUNK ? seen - at : LIST_CHUNK;
		r = send_infos(op, list + at, n, at + n < seen, err);
		at += n;
	} while (r >= 0 && at < seen);
	return r;
}

static int read_info(const struct operation *op, struct control_info *ret,
		     struct err *err)
{
	int r = control_read_info(op->conf->run_dir, op->req->job_id, ret, err);

	if (r < 0)
		return r;
	return operation_authorise(op->conf, op->caller, ret->uid,
				   op->req->job_id, err);
}

int operation_show(const struct operation *op, struct err *err)
{
	struct control_info info;
	int r = read_info(op, &info, err);

	return r < 0 ? r : send_infos(op, &info, 1, false, err);
}

int operation_kill(const struct operation *op, struct err *err)
{
	const struct control_request req = { .op = CONTROL_SIGNAL,
					     .a = op->req->signal };
	auto_close int fd = -EBADF;
	struct control_reply reply;
	struct control_info info;
	Reply done = REPLY__INIT;
	int r = read_info(op, &info, err);

	if (r == 0)
		r = control_connect(op->conf->run_dir, op->req->job_id, &fd,
				    err);
	if (r == 0)
		r = control_call(fd, &req, &reply, NULL, err);
	return r < 0 ? r : op->reply(op->arg, &done);
}

static int send_end(const struct operation *op, int status, bool left)
{
	Reply reply = REPLY__INIT;

	reply.has_status = 1;
	reply.status = (uint32_t)status;
	reply.has_left = left;
	reply.left = left;
	return op->reply(op->arg, &reply);
}

/* The supervisor's reply, unless who asked has gone: then -EPIPE. */
static int await_end(const struct operation *op, int fd,
		     struct control_reply *ret, struct err *err)
{
	struct pollfd fds[2] = { { fd, POLLIN, 0 },
				 { op->peer_fd, POLLRDHUP, 0 } };

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(err, "poll");
	if (!fds[0].revents)
		return err_set(err, -EPIPE, "nobody waits any more");
	return control_receive(fd, ret, NULL, err);
}

int operation_wait(const struct operation *op, struct err *err)
{
	const struct control_request req = { .op = CONTROL_WAIT };
	const char *run = op->conf->run_dir, *job = op->req->job_id;
	auto_close int fd = -EBADF;
	struct control_reply reply;
	struct control_ended ended;
	struct control_info info;
	int r = read_info(op, &info, err);

	if (r < 0)
		return r;
	r = control_connect(run, job, &fd, err);
	if (r == 0)
		r = control_send(fd, &req, err);
	if (r == 0)
		r = await_end(op, fd, &reply, err);
	if (r == -EPIPE || r == -EBUSY)
		return r;
	if (r == 0)
		return send_end(op, (int)reply.value,
				reply.info.state == CONTROL_LEFT);
	/* It had ended before, or between two of the steps above. */
	r = control_read_ended(run, job, &ended, err);
	if (r == 0)
		return send_end(op, ended.wait_status,
				ended.info.state == CONTROL_LEFT);
	return err_set(err, -ECHILD,
		       "job %s: its supervisor was killed, its exit status is "
		       "lost",
		       job);
}
