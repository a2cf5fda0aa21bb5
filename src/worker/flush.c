/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A generation that lies in the fast directory of this node is copied to the
 * store.  Whoever is killed at it has lost nothing: what it has written begins
 * anew, under the same number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "images/limits.h"
#include "snapshot/copy.h"
#include "snapshot/snapshot.h"
#include "snapshot/stream.h"
#include "storage/ended.h"
#include "storage/in_use.h"
#include "storage/store.h"
#include "storage/tier_dir.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/frame.h"
#include "worker/worker.h"

/* Its manifest as it is, and what it says. */
struct source {
	int dir_fd;
	uint8_t *data;
	size_t len;
	ManifestRecord *m;
};

#define TELL_NS     (NSEC_PER_SEC / 4)
#define DAMAGED_MAX 64u /* fit into the answer */

static void tell(void *arg, uint64_t done, uint64_t total)
{
	struct work *w = arg;

	w->copied = done;
	w->to_copy = total;
	w->told_ns = clock_monotonic_ns();
	work_tell_copied(w);
}

static void tell_alive(void *arg)
{
	struct work *w = arg;

	if (clock_monotonic_ns() - w->told_ns >= TELL_NS)
		tell(w, w->copied, w->to_copy);
}

static int verify(struct work *w, const struct source *s, enum verify_how how,
		  struct err *err)
{
	return snapshot_verify_parts(s->dir_fd, &w->owner, s->m, how,
				     tell_alive, w, err);
}

/* It is of no use to anybody. */
static int drop(struct work *w, const char *why, Reply *reply, struct err *err)
{
	int r = store_discard(w->fast_fd, w->generation, &w->owner, err);

	if (r == 0)
		reply->outcome->dropped = strdup(why);
	return r;
}

/*
 * Without a directory in the store there is nothing to be seen of the job: it
 * was retired, which leaves one; or the store is away.
 */
static int look_retired(struct work *w, Reply *reply, struct err *err)
{
	const WorkerRequest *req = w->req;
	auto_close int fd = -EBADF;
	char retired[128];
	struct err unused;

	snprintf(retired, sizeof(retired), "%.64s" ENDED_SUFFIX, req->job_id);
	if (store_open_job(req->store, req->cluster, retired, false, &w->owner,
			   &fd, &unused) < 0)
		return err->code;
	return drop(w, "its job has ended", reply, err);
}

static void source_done(struct source *s)
{
	free(s->data);
	if (s->m)
		manifest_record__free_unpacked(s->m, NULL);
}

static int source_open(struct work *w, int dir_fd, struct source *s,
		       struct err *err)
{
	int r;

	s->dir_fd = dir_fd;
	r = stream_load(dir_fd, &w->owner, "manifest", 0, MANIFEST_FILE_MAX,
			&s->data, &s->len, err);
	if (r == 0)
		r = snapshot_manifest_unpack(s->data, s->len, &s->m, err);
	if (r == 0)
		r = work_check_seal(w, s->data, s->len, err);
	if (r == 0)
		r = snapshot_check_identity(s->m, w->req->job_id, w->generation,
					    err);
	return r;
}

/* What is not noted is copied all the same. */
static void note_damaged(void *arg, const char *what)
{
	struct work *w = arg;
	Outcome *o = w->outcome;
	char **list = NULL;

	if (o->n_damaged < DAMAGED_MAX)
		list = reallocarray(o->damaged, o->n_damaged + 1,
				    sizeof(*list));
	if (!list)
		return;
	o->damaged = list;
	list[o->n_damaged] = strdup(what);
	o->n_damaged += list[o->n_damaged] != NULL;
}

static int copy(struct work *w, const struct source *s, int to_fd,
		uint64_t *ret_written, struct err *err)
{
	struct copy c = {
		.from_fd = s->dir_fd,
		.to_fd = to_fd,
		.job_fd = w->job_fd,
		.user = &w->owner,
		.no_direct = w->req->has_no_direct && w->req->no_direct,
		.progress = tell,
		.damaged = note_damaged,
		.arg = w,
	};
	int r = work_open_bandwidth(w->req, &c.bandwidth, err);

	if (r == 0)
		r = snapshot_copy(&c, s->m, ret_written, err);
	bucket_free(c.bandwidth);
	return r;
}

/* It is in the store: that comes first, the rest is done again if need be. */
static int settle(struct work *w, struct err *err)
{
	int r = tier_dir_settle(w->fast_fd, w->generation, &w->owner, err);

	work_end_writing(w, r);
	if (r == 0)
		r = work_retire(w, false, err);
	return r < 0 ? r : tier_dir_trim(w->fast_fd, false, &w->owner, err);
}

/*
 * Whether it counts is looked at again when all is copied; what comes after
 * that look, the numbers tell (storage/lease.h).
 */
static int publish(struct work *w, const struct source *s, int to_fd,
		   struct err *err)
{
	int r = store_check_late(w->job_fd, w->generation, &w->owner, err);

	if (r == -EBADMSG)
		return err_set(err, -ESTALE, "a later run has replaced it");
	return r < 0 ? r
		     : store_publish(w->job_fd, w->generation, to_fd, s->data,
				     s->len, &w->owner, err);
}

/* The files are their user's: first of all, are they as long as they were? */
static int flush(struct work *w, const struct source *s, Reply *reply,
		 struct err *err)
{
	uint64_t begin = clock_monotonic_ns(), written = 0;
	auto_close int to_fd = -EBADF;
	int r;

	work_begin_writing(w);
	r = verify(w, s, VERIFY_FILES, err);

	if (r == 0)
		r = tier_dir_target(w->job_fd, w->generation, &w->owner, &to_fd,
				    err);
	if (r == 0)
		r = copy(w, s, to_fd, &written, err);
	if (r == 0)
		r = verify(w, s, verify_all(work_direct(w->req)), err);
	if (r == 0)
		r = publish(w, s, to_fd, err);
	if (r == 0)
		r = settle(w, err);
	work_end_writing(w, r);
	reply->outcome->has_total_ns = reply->outcome->has_page_bytes = 1;
	reply->outcome->total_ns = clock_monotonic_ns() - begin;
	reply->outcome->page_bytes = written;
	return r;
}

/*
 * Nobody will ever restore it: its number in the store goes as well, unless
 * that is another's by now.
 */
static int give_up(struct work *w, const char *why, Reply *reply,
		   struct err *err)
{
	enum tier_state state;
	int r = tier_dir_look(w->fast_fd, w->job_fd, w->generation, &w->owner,
			      &state, err);

	if (r == 0 && (state == TIER_WAITS || state == TIER_LATE))
		r = store_discard(w->job_fd, w->generation, &w->owner, err);
	return r < 0 ? r : drop(w, why, reply, err);
}

static bool is_damaged(struct work *w, const struct source *s, struct err *err)
{
	struct err now = { 0 };

	if (verify(w, s, verify_all(work_direct(w->req)), &now) != -EBADMSG)
		return false;
	*err = now;
	return true;
}

static int by_state(struct work *w, int dir_fd, Reply *reply, struct err *err)
{
	struct source s = { .dir_fd = dir_fd };
	enum tier_state state;
	char why[ERR_TEXT_SIZE];
	bool damaged;
	int r = tier_dir_look(w->fast_fd, w->job_fd, w->generation, &w->owner,
			      &state, err);

	if (r < 0)
		return r;
	if (state == TIER_UNWANTED)
		return drop(w, "the store knows nothing of it any more", reply,
			    err);
	if (state == TIER_LATE)
		return drop(w, "a later run of the job has replaced it", reply,
			    err);
	if (state == TIER_STORED)
		return settle(w, err);
	r = source_open(w, dir_fd, &s, err);
	if (r == 0) {
		r = flush(w, &s, reply, err);
		/* The store's file system may have said so, not ours. */
		damaged = r == -EBADMSG && is_damaged(w, &s, err);
	} else {
		damaged = r == -EBADMSG;
	}
	source_done(&s);
	if (!damaged)
		return r;
	snprintf(why, sizeof(why), "damaged: %.300s", err->text);
	return give_up(w, why, reply, err);
}

int work_flush(struct work *w, Reply *reply, struct err *err)
{
	const WorkerRequest *req = w->req;
	auto_close int dir_fd = -EBADF, read_fd = -EBADF;
	int r;

	w->generation = req->generation;
	w->outcome = reply->outcome;
	reply->outcome->has_generation = 1;
	reply->outcome->generation = w->generation;
	r = tier_dir_open(req->fast, req->cluster, req->job_id, false,
			  &w->owner, &w->fast_fd, err);
	if (r == 0)
		r = store_open(w->fast_fd, w->generation, &w->owner, &dir_fd,
			       err);
	/* One that outlived its jobcrd may be at it still. */
	if (r == 0 && flock(dir_fd, LOCK_EX | LOCK_NB) < 0)
		r = err_set(err, -EBUSY, "it is being copied");
	if (r == 0)
		r = in_use_enter(dir_fd, &w->owner, &read_fd, err);
	if (r < 0)
		return r;
	r = store_open_job(req->store, req->cluster, req->job_id, false,
			   &w->owner, &w->job_fd, err);
	if (r == -ENOENT || r == -EPERM)
		return look_retired(w, reply, err);
	return r < 0 ? r : by_state(w, dir_fd, reply, err);
}
