/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jobcr-worker: one checkpoint or one restore of one tree, then the end.
 * Started by jobcrd and jobcr with a socket as descriptor 3: see worker.proto.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "storage/tier.h"
#include "util/log.h"
#include "wire/frame.h"
#include "worker/worker.h"

#define PARENT_FD 3

/* The groups that the parent vouches for, beside those that are known here. */
static int add_groups(const WorkerRequest *req, struct user_id *user,
		      struct err *err)
{
	gid_t *more = reallocarray(
		user->groups, user->ngroups + req->n_groups + 1, sizeof(gid_t));
	size_t i, k;

	if (!more)
		return err_num(err, ENOMEM, "groups");
	user->groups = more;
	for (i = 0; i < req->n_groups; i++) {
		for (k = 0; k < user->ngroups; k++)
			if (more[k] == req->groups[i])
				break;
		if (k == user->ngroups)
			more[user->ngroups++] = req->groups[i];
	}
	return 0;
}

static int run(struct work *w, Reply *reply, struct err *err)
{
	const WorkerRequest *req = w->req;
	int r = control_check_id(req->job_id, err);

	if (r == 0 && !req->dir == !req->store)
		r = err_set(err, -EINVAL, "either a store or a directory");
	/* Needs nothing that could be on the other side of a cut wire. */
	if (r == 0 && req->op == WORKER_REQUEST__OPERATION__FENCE) {
		r = work_drop_capabilities(err);
		return r < 0 ? r : work_fence(w, reply, err);
	}
	if (r == 0)
		r = user_id_load(req->uid, req->gid, &w->owner, err);
	if (r == 0)
		r = add_groups(req, &w->owner, err);
	if (r == 0)
		r = work_drop_capabilities(err);
	if (r < 0)
		return r;
	if (req->op == WORKER_REQUEST__OPERATION__FLUSH)
		return req->fast && req->store
			       ? work_flush(w, reply, err)
			       : err_set(err, -EINVAL, "a flush of what?");
	work_set_deadline(w);
	return req->op == WORKER_REQUEST__OPERATION__RESTORE
		       ? work_restore(w, reply, err)
		       : work_checkpoint(w, reply, err);
}

static int serve(const WorkerRequest *req)
{
	struct work w = { .req = req,
			  .parent_fd = PARENT_FD,
			  .job_fd = -1,
			  .dir_fd = -1,
			  .control_fd = -1,
			  .fast_fd = -1,
			  .writing_fd = -1,
			  .lifeline_fd = -1,
			  .terminal = { .slave = -1, .master = -1 } };
	WorkerMessage m = WORKER_MESSAGE__INIT;
	Outcome outcome = OUTCOME__INIT;
	Reply reply = REPLY__INIT;
	struct err err = { 0 }, unused;

	reply.outcome = &outcome;
	reply.result = run(&w, &reply, &err);
	if (reply.result < 0) {
		reply.text = err.text;
		reply.outcome = NULL;
	}
	m.reply = &reply;
	if (frame_send(PARENT_FD, FRAME_WORKER_MESSAGE, &m.base, NULL, 0,
		       &unused) < 0 &&
	    reply.result < 0)
		log_error(req->job_id, "%s", err.text);
	work_leave_terminal(&w);
	user_id_done(&w.owner);
	return reply.result < 0;
}

int main(void)
{
	ProtobufCMessage *msg;
	struct err err = { 0 };
	int status;

	log_init("jobcr-worker", LOG_LEVEL_INFO);
	prctl(PR_SET_NAME, "jobcr-worker");
	/* A core of this would hold the memory of somebody's job. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	/* A limit on the size of files is an error of the write, then. */
	signal(SIGXFSZ, SIG_IGN);
	if (frame_receive(PARENT_FD, FRAME_WORKER_REQUEST,
			  &worker_request__descriptor, &msg, NULL, NULL,
			  &err) < 0) {
		fprintf(stderr,
			"jobcr-worker: %s: it is started by jobcr and "
			"jobcrd, not by hand\n",
			err.text);
		return 2;
	}
	tier_here(((WorkerRequest *)msg)->fast_here);
	status = serve((WorkerRequest *)msg);
	protobuf_c_message_free_unpacked(msg, NULL);
	return status;
}
