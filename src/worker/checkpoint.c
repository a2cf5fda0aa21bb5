/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "operation/aside.h"
#include "storage/bucket.h"
#include "storage/in_use.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/record.h"
#include "worker/worker.h"

/* The job's output files, NULL-terminated. */
struct outputs {
	const char *paths[3];
};

static void find_outputs(const struct work *w, struct outputs *ret)
{
	const struct control_info *i = &w->info;
	size_t n = 0;

	memset(ret, 0, sizeof(*ret));
	if (*i->stdout_path)
		ret->paths[n++] = i->stdout_path;
	if (*i->stderr_path && strcmp(i->stderr_path, i->stdout_path) != 0)
		ret->paths[n++] = i->stderr_path;
}

static void outputs_back(const struct work *w)
{
	struct outputs out;
	struct err unused;
	size_t i;

	find_outputs(w, &out);
	for (i = 0; out.paths[i]; i++)
		(void)aside_undo(out.paths[i], w->req->job_id, &w->owner,
				 &unused);
}

static bool outputs_aside(const struct work *w)
{
	struct outputs out;
	struct err err;
	size_t i;

	find_outputs(w, &out);
	for (i = 0; out.paths[i]; i++)
		if (aside_put(out.paths[i], w->req->job_id, &w->owner, &err) <
		    0)
			return false;
	return true;
}

/*
 * The snapshot is durable, the job stands still: does it end now?  One that
 * is gone already may be started again by Slurm, or never more.
 */
static bool published(void *arg, bool gone)
{
	struct work *w = arg;
	const WorkerRequest *req = w->req;
	bool aside = req->has_put_aside && req->put_aside;
	struct control_reply reply;
	struct err unused;

	/* From here on a deadline would do harm: it is nearly over. */
	work_clear_deadline();
	if (aside && !outputs_aside(w) && !gone) {
		outputs_back(w);
		return false;
	}
	if (req->has_ask && req->ask && !work_ask_published(w, gone)) {
		if (aside)
			outputs_back(w);
		return false;
	}
	if (w->control_fd >= 0)
		(void)work_control(w, CONTROL_LEAVE, w->generation, 0, &reply,
				   NULL, &unused);
	work_mark_ended(w);
	return true;
}

/*
 * Not below a mount point that has lost its file system: nobody would find the
 * snapshot.  Which directory the run's lease is in, its keeper knows; what was
 * mounted anew may be the same under another number, and has the lease.
 */
static int open_job(struct work *w, struct err *err)
{
	const WorkerRequest *req = w->req;
	struct record_lease rec = { 0 };
	struct lease newest;
	uint64_t here[2] = { 0 };
	struct err unused;
	bool same;
	int r;

	(void)store_identify(req->store, req->cluster, here, &unused);
	same = !w->info.slurm ||
	       record_read(req->run_dir, req->job_id, RECORD_LEASE, &rec,
			   sizeof(rec), &unused) < 0 ||
	       !rec.store[0] || memcmp(rec.store, here, sizeof(here)) == 0;
	r = store_open_job(req->store, req->cluster, req->job_id, same,
			   &w->owner, &w->job_fd, err);
	if (r == 0 && !same)
		r = lease_read(w->job_fd, &w->owner, &newest, err);
	return r == -ENOENT && !same
		       ? err_set(err, -EIO,
				 "store %s is not where the job began: is it "
				 "mounted?",
				 req->store)
		       : r;
}

/*
 * Whose run it is, is asked after the generation was begun: a run that takes
 * over from this one then knows its number.
 */
static int open_store(struct work *w, int *ret_dir, struct err *err)
{
	const WorkerRequest *req = w->req;
	struct err unused;
	int r;

	if (req->dir) {
		w->generation = 1;
		return work_open_dir(w, ret_dir, err);
	}
	r = open_job(w, err);
	if (r == 0)
		r = store_begin(w->job_fd, &w->owner, &w->generation, ret_dir,
				err);
	if (r < 0)
		return r;
	r = w->info.slurm ? work_find_run(w, err) : 0;
	if (r < 0)
		(void)store_discard(w->job_fd, w->generation, &w->owner,
				    &unused);
	return r;
}

static int fill_refusals(const struct refusals *no, Reply *reply,
			 struct err *err)
{
	/* As many as fit into one message. */
	size_t count = no->count < 150 ? no->count : 150, i;
	RefusalEntry *entries = calloc(count, sizeof(*entries));

	reply->refusals = calloc(count, sizeof(*reply->refusals));
	if (!entries || !reply->refusals)
		return err_num(err, ENOMEM, "refusals");
	for (i = 0; i < count; i++) {
		const struct refusal *r = &no->list[i];
		RefusalEntry *e = &entries[i];

		refusal_entry__init(e);
		e->pid = r->pid;
		e->fd = r->fd;
		e->comm = strdup(r->comm);
		e->what = strdup(r->what);
		e->remedy = strdup(r->remedy);
		if (!e->comm || !e->what || !e->remedy)
			return err_num(err, ENOMEM, "refusals");
		reply->refusals[i] = e;
		reply->n_refusals = i + 1;
	}
	reply->has_refusals_total = 1;
	reply->refusals_total = (uint32_t)no->total;
	return 0;
}

static void fill_outcome(const struct work *w,
			 const struct checkpoint_result *res, Outcome *o)
{
	o->has_generation = o->has_frozen_ns = o->has_total_ns = 1;
	o->has_page_bytes = o->has_pages_ns = o->has_tasks = 1;
	o->has_threads = o->has_killed = 1;
	o->generation = w->generation;
	o->frozen_ns = res->frozen_ns;
	o->total_ns = res->total_ns;
	o->page_bytes = res->page_bytes;
	o->has_borrowed_bytes = res->borrowed_bytes != 0;
	o->borrowed_bytes = res->borrowed_bytes;
	o->has_checked_ns = 1;
	o->checked_ns = res->checked_ns;
	/* Elsewhere than in the store it could not be. */
	if (*res->not_borrowed && w->job_fd >= 0)
		o->not_borrowed = strdup(res->not_borrowed);
	o->pages_ns = res->pages_ns;
	o->has_durable_ns = 1;
	o->durable_ns = res->durable_ns;
	o->tasks = res->tasks;
	o->threads = res->threads;
	o->killed = res->killed;
	o->has_pinned_ns = o->has_gone = 1;
	o->pinned_ns = res->pinned_ns;
	o->gone = res->gone;
	if (*res->not_pinned)
		o->not_pinned = strdup(res->not_pinned);
	if (*res->not_kept)
		o->not_kept = strdup(res->not_kept);
	o->has_fast = o->fast = w->fast_fd >= 0;
	if (*w->not_fast)
		o->not_fast = strdup(w->not_fast);
	o->has_sheltered_ns = 1;
	o->sheltered_ns = res->sheltered_ns;
	if (*res->not_sheltered)
		o->not_sheltered = strdup(res->not_sheltered);
}

static bool only_look(const struct work *w)
{
	return w->req->op == WORKER_REQUEST__OPERATION__PREFLIGHT;
}

static int may_publish(void *arg, struct err *err)
{
	return work_check_run(arg, err);
}

/* With NULL at its end; the strings are borrowed. */
static const char **list_of(char **strings, size_t count)
{
	const char **list = calloc(count + 1, sizeof(*list));

	for (size_t i = 0; list && i < count; i++)
		list[i] = strings[i];
	return list;
}

int work_open_bandwidth(const WorkerRequest *req, struct bucket **ret,
			struct err *err)
{
	char path[512];

	if (!req->has_max_bandwidth || !req->run_dir)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/bandwidth", req->run_dir);
	return bucket_open(path, req->max_bandwidth, ret, err);
}

/* The job's directory that the snapshot is written into. */
static int written_to(const struct work *w)
{
	return w->fast_fd >= 0 ? w->fast_fd : w->job_fd;
}

/* It lies in FastDir alone, which has no links into the store. */
static bool is_apart(const struct work *w, int base_fd)
{
	auto_close int near_fd = -EBADF;
	struct stat base, job;
	struct err unused;

	return w->fast_fd < 0 && fstat(base_fd, &base) == 0 &&
	       fstat(w->job_fd, &job) == 0 && base.st_dev != job.st_dev &&
	       store_open_near(w->job_fd, w->watches.generation, &w->owner,
			       &near_fd, &unused) == 1;
}

/*
 * Where the snapshot is that the watches speak of; -1: nowhere, or where this
 * one can have no files in common with it.  *ret_read: whoever retires it sees
 * that it is read.
 */
static int open_base(const struct work *w, const char **ret_is, int *ret_read)
{
	auto_close int fd = -EBADF;
	struct err unused;

	if (w->job_fd < 0 || !w->watches.count)
		return -1;
	if (store_open(written_to(w), w->watches.generation, &w->owner, &fd,
		       &unused) < 0) {
		if (w->fast_fd >= 0 &&
		    store_open(w->job_fd, w->watches.generation, &w->owner, &fd,
			       &unused) == 0)
			*ret_is = "in StoreDir, not in FastDir";
		return -1;
	}
	if (!is_apart(w, fd))
		return in_use_enter(fd, &w->owner, ret_read, &unused) < 0
			       ? -1
			       : take_fd(&fd);
	*ret_is = "in FastDir, not in StoreDir yet";
	return -1;
}

/* Elsewhere than in the store nobody borrows, and nobody will. */
static int take_base(struct work *w, struct checkpoint_args *args,
		     int *ret_read)
{
	args->watches = w->watches_kept ? &w->watches : NULL;
	args->watch = w->job_fd >= 0 ? (enum engine_watch)w->req->watch
				     : ENGINE_WATCH_NONE;
	args->base_fd = open_base(w, &args->base_is, ret_read);
	return args->base_fd;
}

/* What the job was started with; without a supervisor nobody knows. */
static void take_options(const struct work *w, struct checkpoint_args *args)
{
	const struct job_options *o = &w->info.options;

	args->local_bytes = w->req->local_bytes;
	args->private_bytes = w->req->private_bytes;
	args->files = FILES_DEFAULT;
	if (w->control_fd < 0)
		return;
	args->isa = o->isa;
	args->files = o->files;
	args->interval_s = o->interval_s;
	args->reset_peers = o->peers == JOB_PEERS_RESET;
}

static int run_engine(struct work *w, int dir_fd, Reply *reply, struct err *err)
{
	const WorkerRequest *req = w->req;
	struct checkpoint_result res = { 0 };
	struct refusals no = { 0 };
	auto_free const char **carry = list_of(req->carry, req->n_carry);
	auto_free const char **local = list_of(req->local, req->n_local);
	auto_free const char **closed = list_of(req->closed, req->n_closed);
	auto_close int read_fd = -EBADF, base_fd = -EBADF;
	struct outputs out;
	struct checkpoint_args args = {
		.job_id = req->job_id,
		.node = req->node,
		.cluster = req->cluster,
		.cause = req->cause ? req->cause : "request",
		.name = req->name,
		.init_pid = w->info.init_pid,
		.root_pid =
			w->control_fd >= 0 ? w->info.root_pid : req->root_pid,
		.generation = w->generation,
		.job_fd = written_to(w),
		.dir_fd = dir_fd,
		.owner = &w->owner,
		.carry = carry,
		.local = local,
		.closed = closed,
		/* Nobody else starts a job of ours again. */
		.keep_output = w->info.slurm ? req->keep_output : 0,
		.allow_uprobes = req->has_allow_uprobes && req->allow_uprobes,
		.no_direct = req->has_no_direct && req->no_direct,
		.readers = req->has_readers ? req->readers : 0,
		.stripes = req->has_stripes ? req->stripes : 0,
		.buffer_bytes = req->has_buffer_bytes ? req->buffer_bytes : 0,
		.compression = req->has_compression
				       ? (enum pack_policy)req->compression
				       : PACK_AUTO,
		.pause = req->has_pause ? (enum engine_pause)req->pause
					: ENGINE_PAUSE_AUTO,
		.terminal = w->terminal.slave < 0 ? NULL : &w->terminal,
		.copy_out = w->control_fd < 0 ? NULL : work_copy_out,
		.epoch = w->lease.epoch,
		.base = w->lease.base,
		.may_publish = may_publish,
		.seal = work_seals(w) ? work_add_seal : NULL,
		.phase = work_phase,
		.published = req->has_kill && req->kill ? published : NULL,
		.shelter =
			req->has_shelter && req->shelter && w->control_fd >= 0
				? work_shelter
				: NULL,
		.unshelter = work_unshelter,
		.outlived = work_outlived,
		.arg = w,
	};
	int r, other;

	if (!carry || !local || !closed)
		return err_num(err, ENOMEM, "checkpoint");
	take_options(w, &args);
	base_fd = take_base(w, &args, &read_fd);
	/* It is for storage that others wait for, too. */
	r = w->fast_fd >= 0 ? 0
			    : work_open_bandwidth(req, &args.bandwidth, err);
	if (r < 0)
		return r;
	find_outputs(w, &out);
	args.stdio = out.paths;
	r = only_look(w) ? checkpoint_look(&args, &no, err)
			 : checkpoint_run(&args, &res, &no, err);
	bucket_free(args.bandwidth);
	w->durable = res.durable;
	if (r == 0)
		fill_outcome(w, &res, reply->outcome);
	other = no.count ? fill_refusals(&no, reply, err) : 0;
	refusals_done(&no);
	return r < 0 ? r : other;
}

/* What was written is gone again by then. */
static void say_no_room(const struct work *w, int r, struct err *err)
{
	const struct err cause = *err;

	(void)err_set(
		err, r,
		"no room in %s: %s: make room, or raise the quota of "
		"uid %u; jobcr delete removes snapshots that nobody needs",
		w->fast_fd >= 0 ? w->req->fast
		: w->req->dir   ? w->req->dir
				: w->req->store,
		cause.text, w->req->uid);
}

/* What is left of it, and of older ones. */
static void clear_up(struct work *w, int r)
{
	struct err err;

	bool full = r == -ENOSPC || r == -EDQUOT;

	work_end_writing(w, r);
	work_leave_fast(w, r);
	if (w->job_fd < 0)
		return;
	if (r < 0 && !w->durable)
		(void)store_discard(w->job_fd, w->generation, &w->owner, &err);
	/* Old ones that stay cost room, and nothing else. */
	if ((r == 0 || full) && w->fast_fd < 0 &&
	    work_retire(w, full, &err) < 0)
		log_warning(w->req->job_id, "an older snapshot stays: %s",
			    err.text);
}

int work_checkpoint(struct work *w, Reply *reply, struct err *err)
{
	auto_close int store_fd = -EBADF;
	auto_close int fast_fd = -EBADF;
	struct control_reply control;
	int r = 0;

	if (w->req->run_dir) {
		r = work_connect(w, err);
		if (r == 0 && w->info.state != CONTROL_ALIVE)
			r = err_set(err, -ESRCH, "the job does not run");
		if (r == 0 && w->info.terminal)
			r = work_find_terminal(w, err);
		if (r == 0 && !only_look(w))
			r = work_control(w, CONTROL_HOLD, 0, 0, &control, NULL,
					 err);
	}
	if (r == 0)
		work_take_watches(w);
	if (r == 0 && only_look(w)) {
		r = run_engine(w, -1, reply, err);
		work_give_watches(w);
		return r;
	}
	work_begin_writing(w);
	if (r == 0)
		r = work_try_seal(w, err);
	if (r == 0)
		r = open_store(w, &store_fd, err);
	if (r == 0 && w->job_fd >= 0)
		work_enter_fast(w, store_fd, &fast_fd);
	w->dir_fd = fast_fd >= 0 ? fast_fd : store_fd;
	if (r == 0)
		r = run_engine(w, w->dir_fd, reply, err);
	if (!reply->outcome->killed)
		work_give_watches(w);
	reply->has_fast_failed = reply->fast_failed = work_fast_failed(w, r);
	if (r == -ENOSPC || r == -EDQUOT)
		say_no_room(w, r, err);
	if (w->dir_fd >= 0)
		clear_up(w, r);
	return r;
}
