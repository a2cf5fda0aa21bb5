/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/limits.h"
#include "kernel/memory_limit.h"
#include "snapshot/snapshot.h"
#include "snapshot/stream.h"
#include "storage/in_use.h"
#include "storage/store.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "worker/outputs.h"
#include "worker/worker.h"

static int set_time(void *arg, int64_t monotonic_ns, int64_t boottime_ns,
		    struct err *err)
{
	struct control_reply reply;

	return work_control(arg, CONTROL_SET_TIME, monotonic_ns, boottime_ns,
			    &reply, NULL, err);
}

static int spawn(void *arg, pid_t ns_pid, pid_t *ret_pid, struct err *err)
{
	struct control_reply reply;
	int r = work_control(arg, CONTROL_SPAWN, ns_pid, 0, &reply, NULL, err);

	if (r == 0)
		*ret_pid = (pid_t)reply.value;
	return r;
}

static int make_terminal(void *arg, int *ret_slave, int *ret_master,
			 struct err *err)
{
	struct work *w = arg;
	int r = work_find_terminal(w, err);

	if (r < 0)
		return r;
	*ret_slave = w->terminal.slave;
	*ret_master = w->terminal.master;
	return 0;
}

/* The next step cannot be taken back: it must not be cut short. */
static int ready(void *arg, pid_t root_ns_pid, struct err *err)
{
	struct work *w = arg;
	int r = w->info.slurm && w->job_fd >= 0 ? work_find_run(w, err) : 0;

	(void)root_ns_pid;
	if (r < 0)
		return r;
	work_clear_deadline();
	work_unmark_ended(w);
	return 0;
}

/* A job that was submitted again goes on from what its forerunner left. */
static const char *source_of(const WorkerRequest *req)
{
	return req->source ? req->source : req->job_id;
}

/* Read once: its user may put another one there at any time. */
static int read_manifest(const struct work *w, int dir_fd, ManifestRecord **ret,
			 struct err *err)
{
	auto_free uint8_t *data = NULL;
	size_t len;
	int r = stream_load(dir_fd, &w->owner, "manifest", 0, MANIFEST_FILE_MAX,
			    &data, &len, err);

	r = r < 0 ? r : snapshot_manifest_unpack(data, len, ret, err);
	r = r < 0 ? r : work_check_seal(w, data, len, err);
	return r < 0 ? err_wrap(err, r, "manifest") : 0;
}

static bool is_sealed(const struct work *w, int dir_fd)
{
	ManifestRecord *m = NULL;
	struct err unused;
	int r = read_manifest(w, dir_fd, &m, &unused);

	if (m)
		manifest_record__free_unpacked(m, NULL);
	return r == 0;
}

/*
 * A copy of it that is nearer is used where it is whole: that is looked at
 * before, as what is begun cannot be begun again from the store.
 */
static void open_near(struct work *w, int job_fd, int *fd, int *read_fd)
{
	auto_close int near = -EBADF, near_read = -EBADF;
	struct err unused;
	int r = store_open_near(job_fd, w->generation, &w->owner, &near,
				&unused);

	if (r < 0 || in_use_enter(near, &w->owner, &near_read, &unused) < 0)
		return;
	if (r == 0 &&
	    (!is_sealed(w, near) ||
	     snapshot_verify(near, &w->owner, verify_all(work_direct(w->req)),
			     &unused) < 0))
		return;
	close(*fd);
	*fd = take_fd(&near);
	cleanup_close(read_fd);
	*read_fd = take_fd(&near_read);
	w->near = true;
}

/* *ret_read: whoever retires it sees that it is read. */
static int open_snapshot(struct work *w, int *ret, int *ret_read,
			 struct err *err)
{
	const WorkerRequest *req = w->req;
	auto_close int job_fd = -EBADF;
	struct err unused;
	int fd, r;

	if (req->dir) {
		r = as_user(&w->owner, err);
		if (r < 0)
			return r;
		fd = open_named_dir(req->dir, O_RDONLY);
		r = fd < 0 ? err_sys(err, "%s", req->dir) : 0;
		as_root();
		*ret = fd;
		return r < 0 ? r : work_check_dir(w, fd, err);
	}
	r = store_open_job(req->store, req->cluster, source_of(req), false,
			   &w->owner, &job_fd, err);
	/* Its lease, which is this job's own, is looked at before it runs. */
	if (w->info.slurm &&
	    store_open_job(req->store, req->cluster, req->job_id, false,
			   &w->owner, &w->job_fd, &unused) < 0)
		w->job_fd = -1;
	w->generation = req->has_generation ? req->generation : 0;
	if (r == 0 && !w->generation)
		r = store_newest(job_fd, &w->owner, &w->generation, err);
	else if (r == 0)
		r = store_check_late(job_fd, w->generation, &w->owner, err);
	if (r == 0)
		r = store_open(job_fd, w->generation, &w->owner, ret, err);
	if (r == 0)
		r = in_use_enter(*ret, &w->owner, ret_read, err);
	if (r == 0)
		open_near(w, job_fd, ret, ret_read);
	return r;
}

static void fill_outcome(const struct work *w, const struct restart_result *res,
			 Outcome *o)
{
	o->has_generation = o->has_total_ns = o->has_page_bytes = 1;
	o->has_pages_ns = o->has_tasks = o->has_threads = 1;
	o->has_root_ns_pid = 1;
	o->generation = w->generation;
	o->total_ns = res->total_ns;
	o->page_bytes = res->page_bytes;
	o->pages_ns = res->fill_ns;
	o->tasks = res->tasks;
	o->threads = res->threads;
	o->root_ns_pid = res->root_ns_pid;
	o->has_fast = o->fast = w->near;
	if (*res->remarks[REMARK_COPIED])
		o->copied = strdup(res->remarks[REMARK_COPIED]);
	if (*res->remarks[REMARK_ASIDE])
		o->aside = strdup(res->remarks[REMARK_ASIDE]);
	if (*res->remarks[REMARK_MOVED])
		o->moved = strdup(res->remarks[REMARK_MOVED]);
}

/*
 * Said before anything is built: the kernel would kill the job when it has
 * filled what it may use, again at every attempt.
 */
static int check_memory(const struct work *w, const ManifestRecord *m,
			struct err *err)
{
	uint64_t limit;
	int r = memory_limit(w->info.supervisor_pid, &limit, err);

	if (r < 0 || !m->has_page_bytes || m->page_bytes <= limit)
		return r;
	return err_set(
		err, -ENOMEM,
		"the snapshot holds %.0f MiB of memory, but this step "
		"may use no more than %.0f MiB: give the job more (scontrol "
		"update, MinMemoryNode)",
		(double)m->page_bytes / 1048576.0, (double)limit / 1048576.0);
}

/*
 * In the store a snapshot is of this job and generation, or it was put there
 * by mistake.  The name is for listings.
 */
static int check_identity(struct work *w, const ManifestRecord *m,
			  struct err *err)
{
	int r = 0;

	if (!w->req->dir)
		r = snapshot_check_identity(m, source_of(w->req), w->generation,
					    err);
	if (r == 0 && w->info.slurm)
		r = check_memory(w, m, err);
	if (m->name)
		snprintf(w->name, sizeof(w->name), "%s", m->name);
	return r;
}

static int tell_running(struct work *w, const struct restart_result *res,
			struct err *err)
{
	struct control_request req = {
		.op = CONTROL_RUNNING,
		.a = (int64_t)((uint64_t)res->interval_s << 32 |
			       (uint32_t)res->root_ns_pid),
		.b = w->generation | (int64_t)res->isa << 32 |
		     (int64_t)res->files << 40 |
		     (int64_t)res->reset_peers << 48,
	};
	struct control_reply reply;

	snprintf(req.text, sizeof(req.text), "%s", w->name);
	return control_call(w->control_fd, &req, &reply, NULL, err);
}

/* Later snapshots borrow from it only where they are put beside it. */
static bool may_watch(const struct work *w)
{
	return !w->req->dir && !w->req->source && w->req->has_watch;
}

static int run_engine(struct work *w, int dir_fd, const ManifestRecord *m,
		      const int *stdio, Reply *reply, struct err *err)
{
	struct restart_result res = { 0 };
	struct restart_args args = {
		.job_id = w->req->job_id,
		.dir_fd = dir_fd,
		.manifest = m,
		.owner = &w->owner,
		.init_pid = w->info.init_pid,
		.stdio = { stdio[0], stdio[1], stdio[2] },
		.allow_uprobes =
			w->req->has_allow_uprobes && w->req->allow_uprobes,
		.files = w->req->files,
		.generation = w->generation,
		.watches = may_watch(w) ? &w->watches : NULL,
		.watch = w->req->watch,
		.maps = w->req->map,
		.nmaps = w->req->n_map,
		.addresses = w->req->address,
		.naddresses = w->req->n_address,
		.dropped_caps =
			w->req->has_dropped_caps ? w->req->dropped_caps : 0,
		.no_new_privs =
			w->req->has_no_new_privs && w->req->no_new_privs,
		.nothing_since = work_is_ended(w),
		.no_direct = w->req->has_no_direct && w->req->no_direct,
		.readers = w->req->has_readers ? w->req->readers : 0,
		.buffer_bytes =
			w->req->has_buffer_bytes ? w->req->buffer_bytes : 0,
		.set_time = set_time,
		.spawn = spawn,
		.terminal = make_terminal,
		.ready = ready,
		.phase = work_phase,
		.arg = w,
	};
	int r = restart_run(&args, &res, err);

	if (r < 0) {
		watches_done(&w->watches);
		return r;
	}
	w->watches_kept = true;
	work_give_watches(w);
	r = tell_running(w, &res, err);
	if (r == 0)
		fill_outcome(w, &res, reply->outcome);
	return r;
}

int work_restore(struct work *w, Reply *reply, struct err *err)
{
	bool aside = w->req->has_put_aside && w->req->put_aside;
	auto_close int dir_fd = -EBADF, read_fd = -EBADF;
	ManifestRecord *manifest = NULL;
	struct control_reply control;
	int stdio[3], r;
	struct outputs_found outputs = { 0 };
	uint64_t put_back = 0;

	r = work_connect(w, err);
	if (r == 0 && w->info.state != CONTROL_RESTORING)
		r = err_set(err, -EBUSY, "its supervisor waits for no restore");
	if (r == 0)
		r = work_control(w, CONTROL_STDIO, 0, 0, &control, stdio, err);
	if (r == 0)
		r = open_snapshot(w, &dir_fd, &read_fd, err);
	w->dir_fd = dir_fd;
	if (r == 0)
		r = read_manifest(w, dir_fd, &manifest, err);
	if (r == 0)
		r = check_identity(w, manifest, err);
	if (r == 0 && aside)
		r = outputs_find(w, dir_fd, manifest, &outputs, err);
	if (r == 0 && aside)
		r = outputs_put_back(w, dir_fd, &outputs, &put_back, err);
	if (r == 0)
		r = run_engine(w, dir_fd, manifest, stdio, reply, err);
	if (r < 0) {
		if (!w->req->dir && dir_fd >= 0)
			r = in_use_blame(dir_fd, &w->owner, r, err);
		outputs_put_aside(w, &outputs);
	} else if (put_back) {
		reply->outcome->has_put_back = 1;
		reply->outcome->put_back = put_back;
	}
	outputs_done(&outputs);
	if (manifest)
		manifest_record__free_unpacked(manifest, NULL);
	return r;
}
