/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WORKER_WORKER_H
#define JOBCR_WORKER_WORKER_H

#include <stdbool.h>

#include "engine/engine.h"
#include "src/wire/worker.pb-c.h"
#include "storage/bucket.h"
#include "storage/as_user.h"
#include "storage/lease.h"
#include "util/err.h"
#include "util/watches.h"
#include "wire/control.h"

/* One operation. */
struct work {
	const WorkerRequest *req;
	struct user_id owner;
	int parent_fd;   /* who asked for it */
	int control_fd;  /* the supervisor; -1: none */
	int lifeline_fd; /* a sheltered tree lives until it is closed; -1 */
	struct control_info info;
	uint32_t generation;
	int job_fd;                   /* its directory in the store; -1 */
	int dir_fd;                   /* of the generation, borrowed; -1 */
	int fast_fd;                  /* its directory in FastDir; -1 */
	int writing_fd;               /* we write (wire/writing.h); -1 */
	bool near;                    /* restored from a copy there */
	char not_fast[256];           /* why the store was taken; "" */
	struct lease lease;           /* of this run; epoch 0: it has none */
	struct job_terminal terminal; /* -1, -1: it has none */
	struct watches watches;       /* of what the job writes */
	bool watches_kept;            /* its supervisor keeps them for us */
	bool watches_left;            /* and has what is to be said if we die */
	bool durable;                 /* its generation, whatever fails later */
	uint64_t copied, to_copy;     /* FLUSH: bytes, as was said last ... */
	uint64_t told_ns;             /* ... and when */
	Outcome *outcome;             /* FLUSH: borrowed, of the reply */
	char name[128]; /* restore: the command, as in the image */
};

/* Fill the reply, but for result and text of a failure. */
int work_checkpoint(struct work *w, Reply *reply, struct err *err);
int work_restore(struct work *w, Reply *reply, struct err *err);

/*
 * A checkpoint into a directory of the caller's choice: made if need be, and
 * durable; without what a worker has left there that was killed.  Whoever
 * holds *ret holds its lock.  -EEXIST: there is a snapshot in it, or something
 * that would be in the way; -EBUSY: somebody writes one there.
 */
int work_open_dir(struct work *w, int *ret, struct err *err);

/* -EPERM: others than the job's user decide what is in it. */
int work_check_dir(const struct work *w, int fd, struct err *err);

/*
 * Hold the tree frozen until the parent says whether it is killed.  It goes
 * on as before when the parent says no, or ends.
 */
int work_fence(struct work *w, Reply *reply, struct err *err);

/* FLUSH: it comes on.  Waits until it may. */
void work_tell_copied(struct work *w);

/*
 * A generation of FastDir goes to the store.  The reply's outcome says if it
 * was dropped instead, as nobody wants it or can use it.
 */
int work_flush(struct work *w, Reply *reply, struct err *err);

/*
 * The generation that was begun in the store, in store_fd, is to be written
 * into FastDir: *ret_dir is where, with w->fast_fd; -1: it is not, and
 * w->not_fast says why, if that was wanted.
 */
void work_enter_fast(struct work *w, int store_fd, int *ret_dir);
/* Is it FastDir's fault that it could not be written? */
bool work_fast_failed(const struct work *w, int r);
/* It was written there, or (r negative) was not. */
void work_leave_fast(struct work *w, int r);
void work_forget_mark(struct work *w, int store_fd);

/*
 * That a snapshot is being written, until it is, or (r) is not; and then older
 * ones go, now or when others do not write any more.
 */
void work_begin_writing(struct work *w);
void work_end_writing(struct work *w, int r);
int work_retire(struct work *w, bool at_once, struct err *err);

/* DirectIO. */
static inline bool work_direct(const WorkerRequest *req)
{
	return !req->has_no_direct || !req->no_direct;
}

/* MaxBandwidth, if it holds: bucket_free. */
int work_open_bandwidth(const WorkerRequest *req, struct bucket **ret,
			struct err *err);

/*
 * Seals of manifests (snapshot/seal.h), where the request says that there are
 * to be some.  Try: before the job is stopped.  All wait a while for munged.
 */
bool work_seals(const struct work *w);
int work_try_seal(const struct work *w, struct err *err);
int work_add_seal(void *arg, uint8_t **manifest, size_t *len, struct err *err);
int work_check_seal(const struct work *w, const uint8_t *manifest, size_t len,
		    struct err *err);

/*
 * What is watched in the job, from its supervisor to us, so that nobody else
 * has it; and back, with what has become of it.  One that does not give them
 * back takes them with it: then the next checkpoint saves all.
 */
void work_take_watches(struct work *w);
void work_give_watches(struct work *w);

/*
 * The newest lease of the job must be this node's, if there is any: find_run
 * notes it, check_run finds a run that was replaced since.  -EKEYREVOKED.
 */
int work_find_run(struct work *w, struct err *err);
int work_check_run(struct work *w, struct err *err);

/*
 * A mark beside the streams of a generation: the tree ended at this cut, and
 * none has run from it since.
 */
void work_mark_ended(const struct work *w);
void work_unmark_ended(const struct work *w);
bool work_is_ended(const struct work *w);

/* For the engine: tells the parent, waits for its answer when stepping. */
void work_phase(void *arg, enum engine_phase phase);

/* Ask the parent; no answer is a no.  gone: others have killed the job. */
bool work_ask_published(struct work *w, bool gone);
bool work_ask_frozen(struct work *w);

/* Connect to the job's supervisor and read what it knows. */
int work_connect(struct work *w, struct err *err);
int work_control(struct work *w, uint32_t op, int64_t a, int64_t b,
		 struct control_reply *ret, int *ret_fds, struct err *err);

/*
 * The job's own terminal: what it has, or, of a job that is restored, one that
 * is made; and let go of it.
 */
int work_find_terminal(struct work *w, struct err *err);
void work_leave_terminal(struct work *w);

/* For the engine: of a pseudo terminal of the job. */
int work_copy_out(void *arg, enum copy_kind kind, int fd, int *ret_file,
		  struct err *err);

/* Keep the capabilities that the operation needs, and no other. */
int work_drop_capabilities(struct err *err);

/* For the engine: see there.  The supervisor does it. */
int work_shelter(void *arg, struct err *err);
void work_unshelter(void *arg);
bool work_outlived(void *arg);

/* The deadline: a worker that runs into it is gone, its job goes on. */
void work_set_deadline(const struct work *w);
void work_clear_deadline(void);

#endif
