/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "storage/depth.h"
#include "util/clock.h"

#define DEPTH_MIN   4
#define AHEAD_SHARE 4 /* at most this part of what is free */

struct pump {
	struct ring ring;       /* the thread's alone, as is */
	unsigned int started;   /* in the ring */
	struct depth depth;     /* for them */
	unsigned int in_flight; /* the caller's alone */
	pthread_t thread;
	bool running;
	int wake_fd; /* written by the caller for each request and the end */
	struct bucket *bandwidth;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t finished, stopped;
	struct ring_request *queue;
	unsigned int queued;
	struct ring_result *results;
	unsigned int nresults;
	int broken; /* negative errno: the thread has given up */
	bool stop;
};

static void post(struct pump *p, unsigned int index, int res)
{
	(void)pthread_mutex_lock(&p->lock);
	p->results[p->nresults++] = (struct ring_result){ index, res };
	(void)pthread_cond_signal(&p->finished);
	(void)pthread_mutex_unlock(&p->lock);
}

/*
 * Only where there is plenty: others write to that file system, too.  Within
 * a quota there may be less; what was had is given back then, or other streams
 * would lack it (nothing has been written there yet), and the write itself
 * tells.
 */
static void allocate(const struct ring_request *req)
{
	struct statfs st;

	if (fstatfs(req->fd, &st) < 0 || st.f_bsize <= 0 ||
	    st.f_bavail / AHEAD_SHARE < req->allocate / (uint64_t)st.f_bsize)
		return;
	if (fallocate(req->fd, 0, (off_t)req->offset, (off_t)req->allocate) < 0)
		(void)!ftruncate(req->fd, (off_t)req->offset);
}

/* false: the end comes first. */
static bool wait_turn(struct pump *p, const struct ring_request *req)
{
	const uint64_t at =
		p->bandwidth ? bucket_take(p->bandwidth, req->len) : 0;
	const struct timespec until = { .tv_sec = (time_t)(at / NSEC_PER_SEC),
					.tv_nsec = (long)(at % NSEC_PER_SEC) };
	bool stop;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stop && at > clock_monotonic_ns())
		(void)pthread_cond_timedwait(&p->stopped, &p->lock, &until);
	stop = p->stop;
	(void)pthread_mutex_unlock(&p->lock);
	return !stop;
}

/*
 * Hand what the caller has queued to the kernel; *ret_end: it is the end.
 * Writes of a disk end many at a time, and it must not wait for the next ones
 * to be filled: half of the buffers are in flight at first, others are filled
 * meanwhile.
 * A request that the kernel did not take stays in the ring, and it may take it
 * with the next one: so there is no next one, and it has no result.
 */
static int take_queue(struct pump *p, bool *ret_end)
{
	const unsigned int depth = depth_now(&p->depth);
	struct ring_request req;
	struct err err;
	bool stop;
	int r;

	for (;;) {
		(void)pthread_mutex_lock(&p->lock);
		stop = p->stop;
		if (!p->queued || p->started >= depth || stop) {
			(void)pthread_mutex_unlock(&p->lock);
			*ret_end = stop;
			return 0;
		}
		req = p->queue[0];
		memmove(p->queue, p->queue + 1, --p->queued * sizeof(req));
		(void)pthread_mutex_unlock(&p->lock);
		if (!wait_turn(p, &req)) {
			*ret_end = true;
			return 0;
		}
		if (req.allocate)
			allocate(&req);
		r = ring_start(&p->ring, &req, &err);
		if (r < 0)
			return r;
		p->started++;
	}
}

/* Of the depth that take_queue has left. */
static void ended(struct pump *p, int res)
{
	depth_ended(&p->depth, res > 0 ? (size_t)res : 0,
		    p->started >= depth_now(&p->depth), clock_monotonic_ns());
	p->started--;
}

static void *pump_main(void *arg)
{
	struct pump *p = arg;
	unsigned int index;
	bool end = false;
	struct err err;
	int res, r = ring_watch(&p->ring, p->wake_fd, &err);

	while (r == 0) {
		r = ring_wait(&p->ring, &index, &res, &err);
		if (r < 0)
			break;
		if (index != RING_WATCH) {
			ended(p, res);
			post(p, index, res);
		}
		r = take_queue(p, &end);
		if (end)
			return NULL;
		if (r == 0 && index == RING_WATCH)
			r = ring_watch(&p->ring, p->wake_fd, &err);
	}
	(void)pthread_mutex_lock(&p->lock);
	p->broken = r;
	(void)pthread_cond_signal(&p->finished);
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals are for the caller's threads. */
static int start_thread(struct pump *p, struct err *err)
{
	sigset_t all, old;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&p->thread, NULL, pump_main, p);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return err_num(err, r, "thread that writes");
	p->running = true;
	return 0;
}

static void init_locks(struct pump *p)
{
	pthread_condattr_t clock;

	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->finished, NULL);
	(void)pthread_cond_init(&p->stopped, &clock);
	(void)pthread_condattr_destroy(&clock);
}

static unsigned int first_depth(unsigned int buffers)
{
	if (buffers <= DEPTH_MIN)
		return buffers;
	return buffers < 2 * DEPTH_MIN ? DEPTH_MIN : buffers / 2;
}

int pump_new(size_t buffer_bytes, unsigned int buffers, unsigned int ready,
	     const struct ring_homes *homes, struct bucket *bandwidth,
	     struct pump **ret, struct err *err)
{
	struct pump *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_num(err, ENOMEM, "I/O buffers");
	init_locks(p);
	p->bandwidth = bandwidth;
	depth_init(&p->depth, first_depth(buffers), buffers);
	p->wake_fd = eventfd(0, EFD_CLOEXEC);
	p->queue = calloc(buffers, sizeof(*p->queue));
	p->results = calloc(buffers, sizeof(*p->results));
	r = p->queue && p->results && p->wake_fd >= 0
		    ? ring_init(&p->ring, buffer_bytes, buffers, ready, homes,
				err)
		    : err_num(err, ENOMEM, "I/O buffers");
	if (r == 0)
		r = start_thread(p, err);
	if (r < 0) {
		pump_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void wake(struct pump *p)
{
	uint64_t one = 1;

	/* Cannot fail: the counter has room for 2^64 - 2. */
	if (write(p->wake_fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

void pump_free(struct pump *p)
{
	if (!p)
		return;
	if (p->running) {
		(void)pthread_mutex_lock(&p->lock);
		p->stop = true;
		(void)pthread_cond_signal(&p->stopped);
		(void)pthread_mutex_unlock(&p->lock);
		wake(p);
		(void)pthread_join(p->thread, NULL);
	}
	ring_done(&p->ring);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	(void)pthread_cond_destroy(&p->finished);
	(void)pthread_cond_destroy(&p->stopped);
	(void)pthread_mutex_destroy(&p->lock);
	depth_done(&p->depth);
	free(p->queue);
	free(p->results);
	free(p);
}

uint8_t *pump_buffer(const struct pump *p, unsigned int index)
{
	return ring_buffer(&p->ring, index);
}

int pump_home(const struct pump *p, unsigned int index)
{
	return ring_home(&p->ring, index);
}

void pump_start(struct pump *p, const struct ring_request *req)
{
	(void)pthread_mutex_lock(&p->lock);
	p->queue[p->queued++] = *req;
	(void)pthread_mutex_unlock(&p->lock);
	p->in_flight++;
	wake(p);
}

int pump_wait(struct pump *p, unsigned int *ret_index, int *ret_res,
	      struct err *err)
{
	int r = 0;

	if (!p->in_flight)
		return err_set(err, -EBUSY, "all I/O buffers are in use");
	(void)pthread_mutex_lock(&p->lock);
	while (!p->nresults && !p->broken)
		(void)pthread_cond_wait(&p->finished, &p->lock);
	if (p->nresults) {
		p->nresults--;
		*ret_index = p->results[p->nresults].index;
		*ret_res = p->results[p->nresults].res;
		p->in_flight--;
	} else {
		r = err_num(err, p->broken, "io_uring");
	}
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

bool pump_has_result(struct pump *p)
{
	bool has;

	(void)pthread_mutex_lock(&p->lock);
	has = p->nresults || p->broken;
	(void)pthread_mutex_unlock(&p->lock);
	return has && p->in_flight;
}

unsigned int pump_in_flight(const struct pump *p)
{
	return p->in_flight;
}
