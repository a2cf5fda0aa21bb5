/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "operation/launch.h"
#include "operation/parts.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Descriptors that come with a RUN. */
enum { RUN_STDIN, RUN_STDOUT, RUN_STDERR, RUN_SPEC, RUN_FDS };

/*
 * A job is started beside us: somebody in a container or under a system call
 * filter must not get out of it that way.
 */
static int check_same(pid_t pid, const char *name, struct err *err)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &ours) < 0)
		return err_sys(err, "%s", path);
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	if (stat(path, &theirs) < 0)
		return err_sys(err, "%s", path);
	if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return err_set(err, -EACCES,
			       "you are in another %s namespace than jobcrd: "
			       "start the job from outside",
			       name);
	return 0;
}

static int status_number(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? at[strlen(key)] - '0' : 0;
}

/* The number may be another process's by now: then it is nobody's word. */
static int check_uid(const char *status, uid_t uid, struct err *err)
{
	const char *at = strstr(status, "\nUid:\t");

	if (at && strtoul(at + 6, NULL, 10) == uid)
		return 0;
	return err_set(err, -EACCES, "the process that asked has gone");
}

static int check_caller(pid_t pid, uid_t uid, bool *ret_no_new_privs,
			struct err *err)
{
	static const char *const spaces[] = { "user", "mnt", "pid",
					      "net",  "uts", "ipc" };
	auto_free char *status = NULL;
	char path[64];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(spaces); i++)
		r = check_same(pid, spaces[i], err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	r = read_file_at(AT_FDCWD, path, 65536, &status, NULL, err);
	if (r < 0)
		return r;
	r = check_uid(status, uid, err);
	if (r < 0)
		return r;
	if (status_number(status, "\nSeccomp:\t") != 0)
		return err_set(err, -EACCES,
			       "you run under a seccomp filter: start the job "
			       "from outside");
	*ret_no_new_privs = status_number(status, "\nNoNewPrivs:\t") != 0;
	return 0;
}

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
	if (r == 0 && !who->embedded)
		r = check_caller(who->pid, who->uid, &l.no_new_privs, err);
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
