/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "operation/caller.h"
#include "operation/chronicle.h"
#include "operation/counters.h"
#include "operation/launch.h"
#include "operation/parts.h"
#include "operation/progress.h"
#include "storage/as_user.h"
#include "storage/next.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"

#define SUPERVISOR_END_MS 10000

static void fill_common(const struct conf *conf, WorkerRequest *w)
{
	w->node = conf->node;
	w->has_keep = w->has_readers = w->has_stripes = w->has_no_direct = 1;
	w->keep = conf->keep;
	w->readers = conf->readers;
	w->stripes = conf->stripes;
	w->has_buffer_bytes = 1;
	w->buffer_bytes = conf->buffer_memory;
	w->no_direct = !conf->direct_io;
	w->has_compression = 1;
	w->compression = (uint32_t)conf->compression;
	w->has_watch = 1;
	w->watch = (uint32_t)conf->incremental;
	w->has_timeout_s = 1;
	w->timeout_s = conf->timeout_s;
	w->has_pause = 1;
	w->pause = (uint32_t)conf->pause;
	w->has_keep_output = 1;
	w->keep_output = conf->keep_output;
	w->local = conf->local;
	while (conf->local[w->n_local])
		w->n_local++;
	w->closed = conf->closed;
	while (conf->closed[w->n_closed])
		w->n_closed++;
	w->has_local_bytes = 1;
	w->local_bytes = conf->local_bytes;
	w->has_private_bytes = 1;
	w->private_bytes = conf->private_bytes;
}

/*
 * The kernel says which groups a caller is in; the worker's own look-up may
 * know of fewer (a group entered with a password, a login without an entry).
 */
static void take_groups(WorkerRequest *w, const struct caller *caller)
{
	if (!caller || caller->uid != w->uid)
		return;
	w->groups = caller->groups;
	w->n_groups = caller->ngroups;
}

/* The second try says why there was one. */
static void say_fast(Reply *reply, const char *why)
{
	Outcome *o = reply->result < 0 ? NULL : reply->outcome;

	if (!o || o->not_fast)
		return;
	o->not_fast = strdup(why);
}

/* The job is none the worse for a FastDir that is full or broken. */
static int run_checkpoint(const struct conf *conf, WorkerRequest *w,
			  const struct worker_hooks *hooks, Reply **ret,
			  struct err *err)
{
	char why[ERR_TEXT_SIZE];
	int r = worker_run(conf, w, hooks, ret, err);

	if (r < 0 || !(*ret)->has_fast_failed || !(*ret)->fast_failed)
		return r;
	snprintf(why, sizeof(why), "%s", (*ret)->text ? (*ret)->text : "");
	reply__free_unpacked(*ret, NULL);
	*ret = NULL;
	w->fast = NULL;
	r = worker_run(conf, w, hooks, ret, err);
	if (r == 0)
		say_fast(*ret, why);
	return r;
}

int checkpoint_job(const struct conf *conf, const struct checkpoint *c,
		   const struct worker_hooks *hooks, Reply **ret,
		   struct err *err)
{
	const struct control_info *info = c->info;
	auto_free char **carry = NULL;
	WorkerRequest w = WORKER_REQUEST__INIT;
	struct progress progress;
	size_t n = 0;
	int r = launch_check_own(conf, info, err);

	if (r < 0)
		return r;
	while (conf->carry[n])
		n++;
	carry = calloc(n + 1, sizeof(*carry));
	if (!carry)
		return err_num(err, ENOMEM, "checkpoint");
	memcpy(carry, conf->carry, n * sizeof(*carry));
	if (*info->carry)
		carry[n++] = (char *)info->carry;
	fill_common(conf, &w);
	w.op = c->look ? WORKER_REQUEST__OPERATION__PREFLIGHT
		       : WORKER_REQUEST__OPERATION__CHECKPOINT;
	w.job_id = (char *)info->job_id;
	w.cluster = launch_is_local(info->job_id) ? (char *)LOCAL_CLUSTER
						  : conf->cluster;
	w.store = conf->store_dir;
	w.uid = info->uid;
	w.gid = info->gid;
	take_groups(&w, c->caller);
	w.run_dir = conf->run_dir;
	w.cause = (char *)c->cause;
	w.name = (char *)info->name;
	w.has_kill = w.has_ask = w.has_stepping = w.has_put_aside = 1;
	w.has_shelter = 1;
	w.shelter = c->shelter;
	w.kill = c->kill;
	w.ask = c->ask;
	w.stepping = c->stepping;
	w.put_aside = c->put_aside;
	w.has_allow_uprobes = 1;
	w.allow_uprobes = c->allow_uprobes;
	w.carry = carry;
	w.n_carry = n;
	/* Who is to end has a deadline. */
	w.has_max_bandwidth = !c->kill && conf->max_bandwidth;
	w.max_bandwidth = conf->max_bandwidth;
	if (c->timeout_s)
		w.timeout_s = c->timeout_s;
	if (c->look)
		return worker_run(conf, &w, hooks, ret, err);
	progress_begin(&progress, conf, info, hooks, "checkpoint", c->cause);
	w.fast = c->fast && !c->kill ? conf->fast_dir : NULL;
	w.has_fast_needs = 1;
	w.fast_needs = progress.tree_bytes;
	r = run_checkpoint(conf, &w, &progress.hooks, ret, err);
	progress_end_checkpoint(&progress, r, r < 0 ? NULL : *ret, err);
	return r;
}

/* A generation that is not the job's own is of the one it was made from. */
static void find_source(const struct conf *conf, const struct restore *p,
			struct next_start *ret)
{
	auto_close int job_fd = -EBADF, fd = -EBADF;
	struct user_id user;
	struct err unused;

	ret->source[0] = '\0';
	if (!p->info->slurm || p->dir ||
	    user_id_load(p->info->uid, p->info->gid, &user, &unused) < 0)
		return;
	if (store_open_job(conf->store_dir, conf->cluster, p->job_id, false,
			   &user, &job_fd, &unused) == 0 &&
	    store_open(job_fd, p->generation, &user, &fd, &unused) == -ENOENT &&
	    (next_read(job_fd, &user, ret, &unused) < 0 ||
	     ret->generation != p->generation))
		ret->source[0] = '\0';
	user_id_done(&user);
}

int restore_job(const struct conf *conf, const struct restore *p,
		const struct worker_hooks *hooks, Reply **ret, struct err *err)
{
	WorkerRequest w = WORKER_REQUEST__INIT;
	struct next_start next;
	struct progress progress;
	int r;

	fill_common(conf, &w);
	find_source(conf, p, &next);
	if (*next.source)
		w.source = next.source;
	w.op = WORKER_REQUEST__OPERATION__RESTORE;
	w.has_allow_uprobes = 1;
	w.allow_uprobes = p->allow_uprobes;
	w.has_files = 1;
	w.files = p->files;
	w.map = p->maps;
	w.n_map = p->nmaps;
	w.address = p->addresses;
	w.n_address = p->naddresses;
	w.job_id = (char *)p->job_id;
	w.cluster = launch_is_local(p->job_id) ? (char *)LOCAL_CLUSTER
					       : conf->cluster;
	if (p->dir)
		w.dir = (char *)p->dir;
	else
		w.store = conf->store_dir;
	w.uid = p->info->uid;
	w.gid = p->info->gid;
	take_groups(&w, p->caller);
	w.run_dir = conf->run_dir;
	w.has_generation = w.has_stepping = w.has_put_aside = 1;
	w.generation = p->generation;
	w.stepping = p->stepping;
	w.put_aside = p->info->slurm != 0;
	w.has_no_new_privs = p->rights && p->rights->no_new_privs;
	w.no_new_privs = w.has_no_new_privs;
	w.has_dropped_caps = p->rights && p->rights->dropped_caps;
	w.dropped_caps = w.has_dropped_caps ? p->rights->dropped_caps : 0;
	if (p->timeout_s)
		w.timeout_s = p->timeout_s;
	progress_begin(&progress, conf, p->info, hooks, "restore", "");
	r = worker_run(conf, &w, &progress.hooks, ret, err);
	progress_end_restore(&progress);
	counters_restore(conf, r < 0 ? r : (*ret)->result);
	return r;
}

/* Of a process that is to be saved: its user, as /proc says. */
static int process_owner(pid_t pid, uid_t *ret_uid, gid_t *ret_gid,
			 struct err *err)
{
	auto_free char *text = NULL;
	const char *uid, *gid;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_file_at(AT_FDCWD, path, 65536, &text, NULL, err) < 0)
		return err_set(err, -ENOENT, "no process %d", pid);
	uid = strstr(text, "\nUid:\t");
	gid = strstr(text, "\nGid:\t");
	if (!uid || !gid)
		return err_set(err, -EBADMSG, "%s: no Uid", path);
	*ret_uid = (uid_t)strtoul(uid + 6, NULL, 10);
	*ret_gid = (gid_t)strtoul(gid + 6, NULL, 10);
	return 0;
}

static bool stepping(const struct operation *op)
{
	return op->req->has_stepping && op->req->stepping &&
	       op->caller->uid == 0;
}

static unsigned int timeout_s(const struct operation *op)
{
	return op->req->has_timeout_ms ? (op->req->timeout_ms + 999) / 1000 : 0;
}

/* What the worker said is what the caller is told. */
static int pass_on(const struct operation *op, Reply *reply, const char *id)
{
	char *own = reply->job_id;
	int r;

	reply->job_id = (char *)id;
	r = op->reply(op->arg, reply);
	reply->job_id = own;
	reply__free_unpacked(reply, NULL);
	return r < 0 ? 0 : r;
}

/* A tree that jobcr did not start: no supervisor, no store. */
static bool allows_uprobes(const Request *req)
{
	return req->has_allow_uprobes && req->allow_uprobes;
}

static int checkpoint_tree(const struct operation *op,
			   const struct worker_hooks *hooks, Reply **ret,
			   struct err *err)
{
	const Request *req = op->req;
	WorkerRequest w = WORKER_REQUEST__INIT;
	struct caller_rights unused;
	char id[JOB_ID_MAX];
	uid_t uid = 0;
	gid_t gid = 0;
	int r;

	if (!req->dir || *req->dir != '/')
		return err_set(err, -EINVAL, "--pid needs --dir");
	r = caller_check(op->caller, op->conf->node, &unused, err);
	if (r == 0)
		r = process_owner(req->pid, &uid, &gid, err);
	snprintf(id, sizeof(id), "pid-%d", req->pid);
	if (r == 0)
		r = operation_authorise(op->conf, op->caller, uid, id, err);
	if (r == 0)
		r = operation_check_root(op->caller, uid, id, err);
	if (r < 0)
		return r;
	fill_common(op->conf, &w);
	w.op = WORKER_REQUEST__OPERATION__CHECKPOINT;
	w.job_id = id;
	w.cluster = (char *)LOCAL_CLUSTER;
	w.dir = req->dir;
	w.uid = uid;
	w.gid = gid;
	take_groups(&w, op->caller);
	w.has_root_pid = 1;
	w.root_pid = req->pid;
	w.cause = (char *)"request";
	w.has_kill = w.has_stepping = w.has_allow_uprobes = 1;
	w.allow_uprobes = allows_uprobes(req);
	w.kill = req->has_kill && req->kill;
	w.stepping = stepping(op);
	w.carry = op->conf->carry;
	while (op->conf->carry[w.n_carry])
		w.n_carry++;
	return worker_run(op->conf, &w, hooks, ret, err);
}

/* One at a time; the same lock keeps jobcrd's own checkpoints apart. */
static int lock_job(const struct conf *conf, const char *job_id, int *ret,
		    struct err *err)
{
	auto_close int fd = -EBADF;
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs/%s/lock", conf->run_dir, job_id);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EBUSY,
			       "a checkpoint of job %s is under way: wait for "
			       "its end",
			       job_id);
	*ret = take_fd(&fd);
	return 0;
}

/*
 * Its supervisor ends a moment after the job: until then a restore would be
 * told that the job is there.  One that takes longer is not waited for.
 */
static void await_supervisor(int control_fd)
{
	struct pollfd gone = { .fd = control_fd, .events = POLLIN };

	while (poll(&gone, 1, SUPERVISOR_END_MS) < 0 && errno == EINTR)
		;
}

static void note_outcome(const struct operation *op,
			 const struct control_info *info, const Reply *reply)
{
	char text[CHRONICLE_TEXT];

	if (reply->outcome) {
		chronicle_describe("checkpoint", "request", reply->outcome,
				   text);
		chronicle_add(op->conf, info, "checkpoint",
			      reply->outcome->generation, text);
		if (reply->outcome->not_fast) {
			snprintf(text, sizeof(text), CHRONICLE_NOT_FAST,
				 reply->outcome->not_fast);
			chronicle_add(op->conf, info, "fast",
				      reply->outcome->generation, text);
		}
		if (chronicle_not_watched(op->conf, info, reply->outcome)) {
			snprintf(text, sizeof(text), CHRONICLE_NOT_WATCHED,
				 reply->outcome->not_borrowed);
			chronicle_add(op->conf, info, "note",
				      reply->outcome->generation, text);
		}
		if (chronicle_not_kept(op->conf, info, reply->outcome))
			chronicle_add(op->conf, info, "warning",
				      reply->outcome->generation,
				      reply->outcome->not_kept);
	} else if (reply->text) {
		chronicle_add(op->conf, info,
			      reply->result == -ENOTSUP ? "refused" : "failed",
			      0, reply->text);
	}
}

int operation_checkpoint(const struct operation *op, struct err *err)
{
	const struct worker_hooks hooks = operation_hooks(op);
	const Request *req = op->req;
	struct checkpoint c = { .cause = "request",
				.caller = op->caller,
				.kill = req->has_kill && req->kill,
				.look = req->has_look && req->look,
				.allow_uprobes = allows_uprobes(req),
				.stepping = stepping(op),
				.fast = !op->caller->embedded,
				.timeout_s = timeout_s(op) };
	auto_close int lock = -EBADF;
	auto_close int control = -EBADF;
	struct control_info info;
	Reply *reply = NULL;
	int r;

	if (!req->job_id && req->has_pid) {
		r = checkpoint_tree(op, &hooks, &reply, err);
		return r < 0 ? r : pass_on(op, reply, NULL);
	}
	if (!req->job_id)
		return err_set(err, -EINVAL, "checkpoint: which job?");
	r = control_read_info(op->conf->run_dir, req->job_id, &info, err);
	if (r == 0)
		r = operation_authorise(op->conf, op->caller, info.uid,
					req->job_id, err);
	if (r == 0 && c.allow_uprobes && info.slurm)
		r = err_set(err, -EINVAL,
			    "--allow-uprobes: job %s is restored by Slurm, "
			    "which does not give it",
			    req->job_id);
	if (r == 0 && info.state == CONTROL_SUSPENDED)
		r = err_set(err, -ETIMEDOUT,
			    "job %s is suspended, its supervisor does not "
			    "answer: resume it first",
			    req->job_id);
	if (r == 0 && info.state != CONTROL_ALIVE)
		r = err_set(err, -ESRCH, "job %s does not run (any more)",
			    req->job_id);
	c.info = &info;
	if (r == 0)
		r = lock_job(op->conf, req->job_id, &lock, err);
	if (r == 0)
		r = control_connect(op->conf->run_dir, req->job_id, &control,
				    err);
	if (r == 0)
		r = checkpoint_job(op->conf, &c, &hooks, &reply, err);
	if (r == 0 && !c.look)
		note_outcome(op, &info, reply);
	if (r == 0 && reply->outcome && reply->outcome->killed)
		await_supervisor(control);
	/* Who reads the answer may ask for the next one at once. */
	cleanup_close(&lock);
	return r < 0 ? r : pass_on(op, reply, req->job_id);
}
