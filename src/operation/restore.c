/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "operation/caller.h"
#include "operation/checkpoint.h"
#include "operation/chronicle.h"
#include "operation/launch.h"
#include "operation/parts.h"
#include "storage/store.h"
#include "util/address_map.h"
#include "util/cleanup.h"
#include "util/file_policy.h"
#include "util/io.h"
#include "util/path_map.h"
#include "wire/frame.h"

#define ABORT_MS 10000

/* What is to be restored, and whose it is. */
struct plan {
	char id[JOB_ID_MAX];
	const char *dir; /* NULL: of the store */
	uint32_t generation;
	struct user_id owner;
	struct caller_rights rights;
};

/*
 * Whoever may not restore what is another's learns nothing of directories that
 * are closed to them; nor may we enter all that they may (root_squash).
 */
static int look_at_dir(const struct operation *op, const char *dir,
		       struct stat *ret, struct err *err)
{
	const struct caller *who = op->caller;
	const struct user_id id = { who->uid, who->gid, who->ngroups,
				    who->groups };
	const bool all =
		operation_authorise(op->conf, who, (uid_t)-1, dir, err) == 0;
	const struct user_id *user = all ? NULL : &id;
	auto_close int fd = -EBADF;
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	fd = open_named_dir(dir, O_PATH);
	r = fd < 0 ? fd : fstatat(fd, "manifest", ret, AT_SYMLINK_NOFOLLOW);
	end_as(user);
	return r < 0 ? err_set(err, -ENOENT, "no snapshot in %s", dir) : 0;
}

/*
 * The owner is who owns the files: they were written with the job's user's
 * rights, and nobody else can make a file theirs.
 */
static int find_owner(const struct operation *op, struct plan *plan,
		      struct err *err)
{
	const struct caller *who = op->caller;
	auto_close int fd = -EBADF;
	struct stat st;
	int r = 0;

	if (plan->dir) {
		r = look_at_dir(op, plan->dir, &st, err);
		if (r < 0)
			return r;
	} else {
		r = store_open_job(op->conf->store_dir, LOCAL_CLUSTER, plan->id,
				   false, NULL, &fd, err);
		if (r == -ENOENT)
			return err_set(err, r, "no snapshot of job %s in %s",
				       plan->id, op->conf->store_dir);
		if (r < 0)
			return r;
		if (fstat(fd, &st) < 0)
			return err_sys(err, "job %s", plan->id);
	}
	r = operation_authorise(op->conf, who, st.st_uid,
				plan->dir ? plan->dir : plan->id, err);
	if (r == 0 && plan->dir)
		r = operation_check_root(who, st.st_uid, plan->dir, err);
	if (r < 0)
		return r;
	return st.st_uid == who->uid
		       ? user_id_load(who->uid, who->gid, &plan->owner, err)
		       : user_id_of_file(&st, &plan->owner, err);
}

/* The store, or whatever the directory is in, may hang. */
struct look {
	const struct operation *op;
	struct plan *plan;
};

static int look_for_owner(void *arg, struct err *err)
{
	const struct look *look = arg;

	return find_owner(look->op, look->plan, err);
}

static int find_owner_in_time(const struct operation *op, struct plan *plan,
			      struct err *err)
{
	struct apart apart = operation_apart(op);
	struct look look = { op, plan };

	apart.dir = plan->dir;
	return apart_look(&apart, look_for_owner, &look, err);
}

static int check_words(const Request *req, struct err *err)
{
	int r = 0;

	if (req->files >= FILES_POLICIES || req->n_map > PATH_MAPS_MAX)
		return err_set(err, -EINVAL, "policy %u for files, %zu maps",
			       req->files, req->n_map);
	for (size_t i = 0; i < req->n_map && r == 0; i++)
		r = path_map_check(req->map[i], err);
	return r < 0 ? r
		     : address_maps_check(req->address, req->n_address, err);
}

static int make_plan(const struct operation *op, struct plan *plan,
		     struct err *err)
{
	const Request *req = op->req;
	struct control_info info;
	struct err unused;
	int r = check_words(req, err);

	if (r == 0)
		r = caller_check(op->caller, op->conf->node, &plan->rights,
				 err);
	if (r < 0)
		return r;
	plan->generation = req->has_generation ? req->generation : 0;
	plan->dir = req->dir;
	if (req->dir) {
		if (*req->dir != '/')
			return err_set(err, -EINVAL, "%s: not absolute",
				       req->dir);
		r = find_owner_in_time(op, plan, err);
		return r < 0 ? r : launch_new_id(op->conf, plan->id, err);
	}
	if (!req->job_id)
		return err_set(err, -EINVAL, "restore: which job?");
	if (!launch_is_local(req->job_id))
		return err_set(err, -ENOTSUP,
			       "job %s is Slurm's: start jobcrd on this node, "
			       "or ask another one with --node",
			       req->job_id);
	strcpy(plan->id, req->job_id);
	r = find_owner_in_time(op, plan, err);
	if (r == 0 &&
	    control_read_info(op->conf->run_dir, plan->id, &info, &unused) ==
		    0 &&
	    info.state != CONTROL_ENDED && info.state != CONTROL_LEFT)
		r = err_set(err, -EEXIST,
			    "job %s still runs: end it first (jobcr kill %s)",
			    plan->id, plan->id);
	return r;
}

/* The supervisor waits for nobody any more. */
static void abort_supervisor(const struct operation *op, const char *id,
			     int result)
{
	const struct control_request req = {
		.op = CONTROL_ABORT, .a = operation_exit_status(result)
	};
	auto_close int fd = -EBADF;
	struct control_reply reply;
	struct err unused;

	if (control_connect(op->conf->run_dir, id, &fd, &unused) < 0 ||
	    frame_timeout(fd, ABORT_MS, &unused) < 0 ||
	    control_call(fd, &req, &reply, NULL, &unused) < 0)
		return;
	/* The caller is told when nothing is left: the connection ends. */
	(void)control_receive(fd, &reply, NULL, &unused);
}

/* It may have ended by now, and waits for somebody to look at the rest. */
static bool has_terminal(const struct operation *op, const char *id)
{
	struct control_info info;
	struct err unused;

	return control_read_info(op->conf->run_dir, id, &info, &unused) == 0 &&
	       info.terminal;
}

static void tell_result(const struct operation *op, const struct plan *plan,
			Reply *reply)
{
	reply->has_terminal = reply->terminal = has_terminal(op, plan->id);
	reply->job_id = (char *)plan->id;
	(void)op->reply(op->arg, reply);
	reply->job_id = NULL;
}

/* From a directory: of no job that the store knows. */
static void note_outcome(const struct operation *op, struct control_info *info,
			 const struct plan *plan, const Reply *reply)
{
	const Outcome *o = reply->outcome;
	char text[CHRONICLE_TEXT];

	if (plan->dir)
		return;
	snprintf(info->job_id, sizeof(info->job_id), "%s", plan->id);
	if (o)
		chronicle_describe("restore", NULL, o, text);
	chronicle_add(op->conf, info, o ? "restore" : "failed",
		      plan->generation,
		      o             ? text
		      : reply->text ? reply->text
				    : "");
	if (o)
		chronicle_files(op->conf, info, o);
}

/* The supervisor is there: let a worker build the job into it. */
static int fill_supervisor(const struct operation *op, struct plan *plan,
			   bool foreground, struct err *err)
{
	const struct worker_hooks hooks = operation_hooks(op);
	const Request *req = op->req;
	struct control_info info = { 0 };
	struct restore p = {
		.job_id = plan->id,
		.generation = plan->generation,
		.dir = plan->dir,
		.info = &info,
		.caller = op->caller,
		.rights = &plan->rights,
		.allow_uprobes = req->has_allow_uprobes && req->allow_uprobes,
		.files = req->files,
		.maps = req->map,
		.nmaps = req->n_map,
		.addresses = req->address,
		.naddresses = req->n_address,
		.stepping = req->has_stepping && req->stepping &&
			    op->caller->uid == 0,
		.timeout_s = req->has_timeout_ms
				     ? (req->timeout_ms + 999) / 1000
				     : 0,
	};
	Reply *reply = NULL;
	int r, result;

	info.uid = plan->owner.uid;
	info.gid = plan->owner.gid;
	r = restore_job(op->conf, &p, &hooks, &reply, err);
	result = r < 0 ? r : reply->result;
	/* The end of the foreground's supervisor is the end of the command:
	 * it comes after the words. */
	if (r == 0 && foreground)
		tell_result(op, plan, reply);
	if (r < 0 && foreground)
		(void)operation_reply_error(op, r, err->text);
	if (r == 0)
		note_outcome(op, &info, plan, reply);
	if (result < 0)
		abort_supervisor(op, plan->id, result);
	if (r == 0 && !foreground)
		tell_result(op, plan, reply);
	if (r == 0)
		reply__free_unpacked(reply, NULL);
	return r;
}

static void make_launch(const struct operation *op, const struct plan *plan,
			struct launch *l)
{
	static const struct job_options host_ipc = { .ipc = JOB_IPC_HOST };
	int i;

	*l = (struct launch){
		.options = op->conf->private_ipc ? NULL : &host_ipc,
		.job_id = plan->id,
		.name = op->req->name,
		.uid = plan->owner.uid,
		.gid = plan->owner.gid,
		.umask = -1,
		.like = op->caller->embedded ? 0 : op->caller->pid,
		.like_fd = op->caller->embedded ? -1 : op->caller->pidfd,
		.rights = plan->rights,
		.spec_fd = -1,
		.generation = plan->generation,
		.stdio = { -1, -1, -1 },
		.own_session = true,
		.pty = op->req->attached,
		.ready_fd = -1,
	};
	for (i = 0; i < 3 && op->nfds == 3; i++)
		l->stdio[i] = op->fds[i];
}

/*
 * In the foreground this process becomes the supervisor, so that signals and
 * exit status pass through it; a child sees to the rest.
 */
static int restore_here(const struct operation *op, struct plan *plan,
			struct err *err)
{
	struct launch l;
	int fds[2], status, r;
	pid_t pid;

	make_launch(op, plan, &l);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	pid = fork();
	if (pid < 0)
		return err_sys(err, "fork");
	if (pid > 0) {
		l.ready_fd = fds[1];
		r = launch_become(op->conf, &l, err);
		dprintf(fds[1], "125 %s", err->text);
		return r;
	}
	setsid();
	close(fds[1]);
	r = launch_await(fds[0], &status, err);
	if (r < 0)
		(void)operation_reply_error(op, r, err->text);
	else
		(void)fill_supervisor(op, plan, true, err);
	_exit(0);
}

int operation_restore(const struct operation *op, struct err *err)
{
	struct plan plan = { 0 };
	struct launch l;
	int r, status;

	r = make_plan(op, &plan, err);
	if (r < 0) {
		user_id_done(&plan.owner);
		return r;
	}
	if (op->caller->embedded && op->req->attached && !op->req->pty) {
		r = restore_here(op, &plan, err);
	} else {
		make_launch(op, &plan, &l);
		r = launch_start(op->conf, &l, &status, err);
		if (r == 0)
			r = fill_supervisor(op, &plan, false, err);
	}
	user_id_done(&plan.owner);
	return r;
}
