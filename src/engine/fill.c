/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents of memory and of files that are carried along.  Each thread reads
 * its own share of the streams through its own ring, checks the hash of each
 * extent and copies it into place; page faults in the target are what takes
 * the time, so two threads do better than one.  Memory taken is what the
 * readers hold.  No ptrace here: only the tracer's thread may.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "engine/building.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "storage/reader.h"
#include "util/cleanup.h"

#define WORKERS     2
#define BUFFER      (4ull << 20)
#define BUFFERS_MAX 8

struct target {
	const Extent *extent;
	int32_t ns_pid; /* 0: data of object */
	uint32_t object;
	pid_t pid;
	int data_fd;
	uint64_t data_size;
	uint64_t huge; /* data is on hugetlbfs: the size of its pages */
};

struct worker {
	const struct building *b;
	const struct target *targets;
	struct read_piece *pieces;
	size_t count;
	pthread_t thread;
	int result;
	struct err err;
};

static int order_pieces(const void *a, const void *b)
{
	const struct read_piece *x = a, *y = b;

	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* What a data file has behind its end belongs to nobody. */
static int put_data(const struct target *t, const uint8_t *data, size_t len,
		    struct err *err)
{
	uint64_t at = t->extent->address;
	ssize_t n;

	if (at >= t->data_size)
		return 0;
	if (len > t->data_size - at)
		len = (size_t)(t->data_size - at);
	while (len > 0) {
		n = pwrite(t->data_fd, data, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "object %u: write", t->object);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Files of hugetlbfs cannot be written, only mapped.  Pages are asked for
 * first: a lack of them is an error here, and no signal.
 */
static int put_huge(const struct target *t, const uint8_t *data, size_t len,
		    struct err *err)
{
	uint64_t at = t->extent->address, start = at & ~(t->huge - 1);
	uint64_t end = (at + len + t->huge - 1) & ~(t->huge - 1);
	uint8_t *map;

	if (end > t->data_size)
		return err_set(err, -EBADMSG, "object %u: pages behind its end",
			       t->object);
	while (fallocate(t->data_fd, 0, (off_t)start, (off_t)(end - start)) < 0)
		if (errno != EINTR)
			return err_sys(err, "object %u: huge pages of %s",
				       t->object, hugetlb_name(t->huge));
	map = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED,
		   t->data_fd, (off_t)start);
	if (map == MAP_FAILED)
		return err_sys(err, "object %u: mmap", t->object);
	memcpy(map + (at - start), data, len);
	(void)munmap(map, end - start);
	return 0;
}

/* Pages that are not writable now, but were once: the long way round. */
static int put_forced(const struct target *t, const uint8_t *data, size_t len,
		      uint64_t at, struct err *err)
{
	char path[64];
	auto_close int fd = -EBADF;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "pid %d: memory", t->ns_pid);
	while (len > 0) {
		n = pwrite(fd, data, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "pid %d: contents of %#" PRIx64,
				       t->ns_pid, at);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_memory(const struct target *t, const uint8_t *data, size_t len,
		      struct err *err)
{
	uint64_t at = t->extent->address;
	struct iovec from, to;
	ssize_t n;

	while (len > 0) {
		from = (struct iovec){ (void *)data, len };
		to = (struct iovec){ (void *)at, len };
		n = process_vm_writev(t->pid, &from, 1, &to, 1, 0);
		if (n < 0 && errno == EFAULT)
			return put_forced(t, data, len, at, err);
		if (n <= 0)
			return err_sys(err, "pid %d: contents of %#" PRIx64,
				       t->ns_pid, at);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_extent(void *arg, const struct read_piece *piece,
		      const uint8_t *data, struct err *err)
{
	const struct worker *w = arg;
	const struct target *t = &w->targets[piece->tag];
	const PartEntry *part = w->b->part;

	if (extent_hash(data, piece->len) != t->extent->hash)
		return err_set(err, -EBADMSG,
			       "%s: damaged: bytes %" PRIu64 " to %" PRIu64
			       " have not the hash they were saved with",
			       part->streams[t->extent->stream]->name,
			       piece->offset, piece->offset + piece->len);
	if (t->ns_pid)
		return put_memory(t, data, piece->len, err);
	return t->huge ? put_huge(t, data, piece->len, err)
		       : put_data(t, data, piece->len, err);
}

/* A small job does not wait for memory that it does not need. */
static unsigned int buffers_for(const struct worker *w)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < w->count; i++)
		bytes += w->pieces[i].len;
	bytes = bytes / BUFFER + 1;
	return bytes < BUFFERS_MAX ? (unsigned int)bytes : BUFFERS_MAX;
}

static int fill_share(struct worker *w, struct err *err)
{
	const struct restart_args *args = w->b->args;
	struct reader_limits limits = { .buffer_bytes = BUFFER,
					.buffers = buffers_for(w),
					.no_direct = args->no_direct };
	struct reader *reader = NULL;
	int r;

	r = reader_new(args->dir_fd, &limits, &reader, err);
	if (r < 0)
		return r;
	r = snapshot_open_pages(reader, args->owner, w->b->part, err);
	if (r == 0)
		r = reader_run(reader, w->pieces, w->count, put_extent, w, err);
	reader_free(reader);
	return r;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	w->result = fill_share(w, &w->err);
	return NULL;
}

/* Halves of the streams, so that each reads forward. */
static int run_workers(const struct building *b, const struct target *targets,
		       struct read_piece *pieces, size_t count, uint64_t bytes,
		       struct err *err)
{
	struct worker w[WORKERS] = { 0 };
	size_t workers = bytes > BUFFER ? WORKERS : 1;
	size_t share = (count + workers - 1) / workers, first = 0, started;
	int r = 0;

	for (started = 0; started < workers && first < count; started++) {
		w[started].b = b;
		w[started].targets = targets;
		w[started].pieces = pieces + first;
		w[started].count =
			share < count - first ? share : count - first;
		first += w[started].count;
		r = pthread_create(&w[started].thread, NULL, worker_main,
				   &w[started]);
		if (r != 0) {
			r = err_num(err, r, "thread that reads");
			break;
		}
	}
	for (size_t i = 0; i < started; i++) {
		(void)pthread_join(w[i].thread, NULL);
		if (w[i].result < 0 && r == 0) {
			r = w[i].result;
			*err = w[i].err;
		}
	}
	return r;
}

static int find_target(const struct building *b, const PagesRecord *rec,
		       struct target *ret, struct err *err)
{
	const struct plan_thread *task;
	struct target t = { .ns_pid = rec->pid, .object = rec->object };
	off_t size;

	if (rec->pid) {
		task = plan_thread(b->plan, rec->pid);
		if (!task)
			return err_set(err, -EBADMSG, "pages of pid %d",
				       rec->pid);
		t.pid = b->puppets[task->task].task.pid;
		*ret = t;
		return 0;
	}
	t.data_fd = descriptors_data(b->fds, rec->object);
	if (t.data_fd == -ENOENT)
		return err_set(err, -EBADMSG, "pages of object %u",
			       rec->object);
	if (t.data_fd >= 0) {
		size = lseek(t.data_fd, 0, SEEK_END);
		if (size < 0)
			return err_sys(err, "object %u: size", rec->object);
		t.data_size = (uint64_t)size;
		t.huge = hugetlb_of_file(t.data_fd);
	}
	*ret = t;
	return 0;
}

/* Pages of an object that needs none are still read: they must be whole. */
static int list_pieces(const struct building *b, struct target *targets,
		       struct read_piece *pieces, uint64_t *ret_bytes,
		       struct err *err)
{
	const struct meta *meta = b->plan->meta;
	const PagesRecord *rec;
	struct target t;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < meta->count; i++) {
		if (meta->entries[i].tag != TAG_PAGES)
			continue;
		rec = (const PagesRecord *)meta->entries[i].msg;
		r = find_target(b, rec, &t, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < rec->n_extents; k++, n++) {
			t.extent = rec->extents[k];
			targets[n] = t;
			pieces[n] = (struct read_piece){
				.stream = t.extent->stream - 1,
				.len = t.extent->pages * IMAGE_PAGE,
				.offset = t.extent->offset,
				.tag = n,
			};
			*ret_bytes += pieces[n].len;
		}
	}
	return 0;
}

int build_contents(struct building *b, uint64_t *ret_bytes, struct err *err)
{
	const struct meta *meta = b->plan->meta;
	auto_free struct target *targets = NULL;
	auto_free struct read_piece *pieces = NULL;
	uint64_t bytes = 0;
	size_t count = 0;
	int r;

	for (size_t i = 0; i < meta->count; i++)
		if (meta->entries[i].tag == TAG_PAGES)
			count += ((const PagesRecord *)meta->entries[i].msg)
					 ->n_extents;
	targets = calloc(count + 1, sizeof(*targets));
	pieces = calloc(count + 1, sizeof(*pieces));
	if (!targets || !pieces)
		return err_num(err, ENOMEM, "%zu extents", count);
	r = list_pieces(b, targets, pieces, &bytes, err);
	if (r < 0)
		return r;
	qsort(pieces, count, sizeof(*pieces), order_pieces);
	r = run_workers(b, targets, pieces, count, bytes, err);
	if (r < 0)
		return r;
	descriptors_close_data(b->fds);
	*ret_bytes = bytes;
	return 0;
}
