/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "operation/caller.h"
#include "operation/launch.h"
#include "operation/parts.h"

/* Descriptors that come with a RUN. */
enum { RUN_STDIN, RUN_STDOUT, RUN_STDERR, RUN_SPEC, RUN_FDS };

/* Of what may be asked for a job, what a local one can have. */
static int read_options(const struct operation *op, struct job_options *ret,
			struct err *err)
{
	const char *text = op->req->options ? op->req->options : "";
	int r = job_options_parse(text, ret, err);

	if (r == 0 && (ret->timelimit_s || ret->signal))
		r = err_set(err, -EINVAL, "%s: needs Slurm", text);
	if (r == 0 && ret->interval_s && op->caller->embedded)
		r = err_set(err, -ECONNREFUSED,
			    "--interval needs jobcrd: start it");
	if (r == 0 && !ret->ipc && !op->conf->private_ipc)
		ret->ipc = JOB_IPC_HOST;
	return r;
}

int operation_start(const struct operation *op, struct err *err)
{
	const struct caller *who = op->caller;
	const Request *req = op->req;
	struct launch l = {
		.name = req->name,
		.uid = who->uid,
		.gid = who->gid,
		.groups = who->groups,
		.ngroups = who->ngroups,
		.cwd = req->cwd,
		.umask = req->has_umask ? (int)(req->umask & 0777) : -1,
		.like = who->embedded ? 0 : who->pid,
		.like_fd = who->embedded ? -1 : who->pidfd,
		.spec_fd = op->nfds == RUN_FDS ? op->fds[RUN_SPEC] : -1,
		.own_session = true,
		.pty = req->pty,
		.ready_fd = -1,
	};
	Reply reply = REPLY__INIT;
	struct job_options options;
	char id[JOB_ID_MAX];
	int r, status;

	if (op->nfds != RUN_FDS || !who->pid)
		return err_set(err, -EINVAL,
			       "a job is started on the node it is to run on");
	memcpy(l.stdio, op->fds, sizeof(l.stdio));
	r = launch_check_spec(l.spec_fd, err);
	if (r == 0)
		r = read_options(op, &options, err);
	if (r == 0)
		r = caller_check(who, op->conf->node, &l.rights, err);
	/* While it is there: see seals.c. */
	(void)launch_seals(op->conf, LOCAL_CLUSTER);
	if (r == 0)
		r = launch_new_id(op->conf, id, err);
	if (r < 0)
		return r;
	l.job_id = id;
	l.options = &options;
	reply.job_id = id;
	if (who->embedded && req->attached && !req->pty) {
		/* Signals and exit status are then the job's by themselves. */
		l.own_session = false;
		return launch_become(op->conf, &l, err);
	}
	r = launch_start(op->conf, &l, &status, err);
	if (r == 0)
		return op->reply(op->arg, &reply);
	reply.result = r;
	reply.text = err->text;
	reply.has_status = 1;
	reply.status = (uint32_t)status << 8;
	reply.job_id = NULL;
	(void)op->reply(op->arg, &reply);
	return 0;
}
