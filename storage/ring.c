/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/cleanup.h"

#define HUGE_PAGE (2u << 20)
#define END_NS    100000000

/*
 * Whole huge pages: a request of 4 MiB then pins two pages, not 1024.  The
 * advice is only advice.
 */
static int map_arena(struct ring *ring, struct err *err)
{
	size_t len = (ring->buffer_bytes * ring->buffers + HUGE_PAGE - 1) /
		     HUGE_PAGE * HUGE_PAGE;
	uint8_t *p = mmap(NULL, len + HUGE_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return err_sys(err, "%zu bytes of I/O buffers", len);
	head = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
	if (head)
		munmap(p, head);
	if (head != HUGE_PAGE)
		munmap(p + head + len, HUGE_PAGE - head);
	(void)madvise(p + head, len, MADV_HUGEPAGE);
	/* Pinned memory is copied by each fork, and a child has no use for it.
	 */
	(void)madvise(p + head, len, MADV_DONTFORK);
	ring->arena = p + head;
	ring->arena_bytes = len;
	return 0;
}

/* Before they are registered, which touches them. */
static int put_home(struct ring *ring, const struct ring_homes *homes,
		    struct err *err)
{
	ring->homes = calloc(ring->buffers, sizeof(*ring->homes));
	if (!ring->homes)
		return err_num(err, ENOMEM, "I/O buffers");
	for (unsigned int i = 0; i < ring->buffers; i++)
		ring->homes[i] = homes->put(homes->arg, i, ring_buffer(ring, i),
					    ring->buffer_bytes);
	return 0;
}

/* Refused over RLIMIT_MEMLOCK without CAP_IPC_LOCK: go on unregistered. */
static void register_all(struct ring *ring)
{
	auto_free struct iovec *iov = calloc(ring->buffers, sizeof(*iov));
	unsigned int i;

	if (!iov)
		return;
	for (i = 0; i < ring->buffers; i++) {
		iov[i].iov_base = ring_buffer(ring, i);
		iov[i].iov_len = ring->buffer_bytes;
	}
	if (io_uring_register_buffers(&ring->uring, iov, ring->buffers) == 0)
		memset(ring->states, RING_REGISTERED, ring->buffers);
}

static void register_one(struct ring *ring, unsigned int i)
{
	const struct iovec iov = { ring_buffer(ring, i), ring->buffer_bytes };
	bool done = io_uring_register_buffers_update_tag(&ring->uring, i, &iov,
							 NULL, 1) == 1;

	ring->states[i] = done ? RING_REGISTERED : RING_PLAIN;
}

/* Old kernels register all or none (Linux 5.19). */
static void register_some(struct ring *ring, unsigned int ready)
{
	if (ready >= ring->buffers ||
	    io_uring_register_buffers_sparse(&ring->uring, ring->buffers) < 0) {
		if (ready)
			register_all(ring);
		return;
	}
	memset(ring->states, RING_UNTOUCHED, ring->buffers);
	for (unsigned int i = 0; i < ready; i++)
		register_one(ring, i);
}

/*
 * What is registered need not be looked up and held for each request.  Refused
 * over RLIMIT_NOFILE: go on without.
 */
static void register_files(struct ring *ring)
{
	int none[RING_FILES];

	memset(none, -1, sizeof(none));
	if (io_uring_register_files(&ring->uring, none, RING_FILES) == 0)
		ring->files_room = RING_FILES;
}

/* Its number among the registered ones; -1: it is none of them. */
static int registered_file(struct ring *ring, int fd)
{
	const unsigned int n = ring->nfiles;

	for (unsigned int i = 0; i < n; i++)
		if (ring->files[i] == fd)
			return (int)i;
	if (n == ring->files_room)
		return -1;
	if (io_uring_register_files_update(&ring->uring, n, &fd, 1) != 1) {
		ring->files_room = n;
		return -1;
	}
	ring->files[ring->nfiles++] = fd;
	return (int)n;
}

static void take_result(struct ring *ring, struct io_uring_cqe *cqe,
			unsigned int *ret_index, int *ret_res)
{
	*ret_index = (unsigned int)cqe->user_data;
	*ret_res = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	if (*ret_index == RING_WATCH)
		ring->watching = false;
	ring->in_flight--;
}

/* They mostly do soon; storage that hangs is not waited for. */
static void let_requests_end(struct ring *ring)
{
	struct __kernel_timespec wait = { .tv_nsec = END_NS };
	struct io_uring_cqe *cqe = NULL;
	unsigned int index;
	int res;

	while (ring->in_flight > ring->watching &&
	       io_uring_wait_cqe_timeout(&ring->uring, &cqe, &wait) == 0)
		take_result(ring, cqe, &index, &res);
}

/*
 * A ring that is closed gives its files back a while later, and until then
 * their file system is busy and their room taken; not so, when it is told.
 * Old kernels would wait for requests in flight to unregister all: these keep
 * their files until they end.
 */
static void give_files_back(struct ring *ring)
{
	int none[RING_FILES];

	memset(none, -1, sizeof(none));
	let_requests_end(ring);
	if (ring->in_flight == ring->watching)
		(void)io_uring_unregister_files(&ring->uring);
	else
		(void)io_uring_register_files_update(&ring->uring, 0, none,
						     ring->nfiles);
}

int ring_init(struct ring *ring, size_t buffer_bytes, unsigned int buffers,
	      unsigned int ready, const struct ring_homes *homes,
	      struct err *err)
{
	struct ring fresh = { .buffer_bytes = buffer_bytes,
			      .buffers = buffers };
	int r;

	if (!buffers || !buffer_bytes || buffer_bytes % RING_ALIGN ||
	    buffers > 1024 || buffer_bytes > 1u << 30)
		return err_set(err, -EINVAL, "%u I/O buffers of %zu bytes",
			       buffers, buffer_bytes);
	fresh.results = calloc(buffers, sizeof(*fresh.results));
	fresh.states = calloc(buffers, 1);
	r = fresh.results && fresh.states ? map_arena(&fresh, err)
					  : err_num(err, ENOMEM, "I/O buffers");
	if (r == 0 && homes)
		r = put_home(&fresh, homes, err);
	if (r < 0) {
		ring_done(&fresh);
		return r;
	}
	*ring = fresh;
	/* And one for what is watched. */
	r = io_uring_queue_init(buffers + 1, &ring->uring, 0);
	ring->have_uring = r == 0;
	if (ring->have_uring) {
		register_some(ring, ready);
		register_files(ring);
	}
	return 0;
}

void ring_done(struct ring *ring)
{
	if (ring->have_uring) {
		if (ring->nfiles)
			give_files_back(ring);
		io_uring_queue_exit(&ring->uring);
	}
	if (ring->arena)
		munmap(ring->arena, ring->arena_bytes);
	free(ring->homes);
	free(ring->results);
	free(ring->states);
	memset(ring, 0, sizeof(*ring));
}

static int do_now(struct ring *ring, const struct ring_request *req)
{
	uint8_t *data = ring_buffer(ring, req->index) + req->from;
	ssize_t n;

	if (req->write)
		n = pwrite(req->fd, data, req->len, (off_t)req->offset);
	else
		n = pread(req->fd, data, req->len, (off_t)req->offset);
	ring->results[ring->in_flight].index = req->index;
	ring->results[ring->in_flight].res = n < 0 ? -errno : (int)n;
	ring->in_flight++;
	return 0;
}

static void prepare(struct io_uring_sqe *sqe, struct ring *ring,
		    const struct ring_request *req)
{
	int file = registered_file(ring, req->fd);
	int fd = file < 0 ? req->fd : file;
	uint8_t *data = ring_buffer(ring, req->index) + req->from;
	unsigned int len = (unsigned int)req->len;
	int index = (int)req->index;
	bool registered = ring->states[req->index] == RING_REGISTERED;

	if (req->write && registered)
		io_uring_prep_write_fixed(sqe, fd, data, len, req->offset,
					  index);
	else if (req->write)
		io_uring_prep_write(sqe, fd, data, len, req->offset);
	else if (registered)
		io_uring_prep_read_fixed(sqe, fd, data, len, req->offset,
					 index);
	else
		io_uring_prep_read(sqe, fd, data, len, req->offset);
	if (file >= 0)
		sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = req->index;
}

static int submit(struct ring *ring, struct err *err)
{
	int r;

	do
		r = io_uring_submit(&ring->uring);
	while (r == -EINTR || r == -EAGAIN);
	if (r < 0)
		return err_num(err, r, "io_uring: submit");
	ring->in_flight++;
	return 0;
}

int ring_start(struct ring *ring, const struct ring_request *req,
	       struct err *err)
{
	struct io_uring_sqe *sqe;

	if (!ring->have_uring)
		return do_now(ring, req);
	sqe = io_uring_get_sqe(&ring->uring);
	if (!sqe)
		return err_set(err, -EBUSY, "io_uring: queue is full");
	if (ring->states[req->index] == RING_UNTOUCHED)
		register_one(ring, req->index);
	prepare(sqe, ring, req);
	return submit(ring, err);
}

int ring_watch(struct ring *ring, int fd, struct err *err)
{
	struct io_uring_sqe *sqe;

	ring->watch_fd = fd;
	ring->watching = true;
	if (!ring->have_uring)
		return 0;
	sqe = io_uring_get_sqe(&ring->uring);
	if (!sqe)
		return err_set(err, -EBUSY, "io_uring: queue is full");
	io_uring_prep_read(sqe, fd, &ring->watched, sizeof(ring->watched), 0);
	sqe->user_data = RING_WATCH;
	return submit(ring, err);
}

/* Without io_uring: results first, they are there already. */
static int wait_plain(struct ring *ring, unsigned int *ret_index, int *ret_res,
		      struct err *err)
{
	ssize_t n;

	if (ring->in_flight) {
		ring->in_flight--;
		*ret_index = ring->results[ring->in_flight].index;
		*ret_res = ring->results[ring->in_flight].res;
		return 0;
	}
	do
		n = read(ring->watch_fd, &ring->watched, sizeof(ring->watched));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "eventfd");
	ring->watching = false;
	*ret_index = RING_WATCH;
	*ret_res = 0;
	return 0;
}

bool ring_has_result(const struct ring *ring)
{
	return ring->have_uring ? io_uring_cq_ready(&ring->uring) > 0
				: ring->in_flight > 0;
}

int ring_wait(struct ring *ring, unsigned int *ret_index, int *ret_res,
	      struct err *err)
{
	struct io_uring_cqe *cqe = NULL;
	int r;

	if (!ring->in_flight && !ring->watching)
		return err_set(err, -EBUSY, "all I/O buffers are in use");
	if (!ring->have_uring)
		return wait_plain(ring, ret_index, ret_res, err);
	do
		r = io_uring_wait_cqe(&ring->uring, &cqe);
	while (r == -EINTR || r == -EAGAIN);
	if (r < 0)
		return err_num(err, r, "io_uring: wait");
	take_result(ring, cqe, ret_index, ret_res);
	return 0;
}

/* NFS and FUSE have no O_TMPFILE: there the name lives for an instant. */
static int open_nameless(int dir_fd)
{
	int fd = openat(dir_fd, ".",
			O_TMPFILE | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
	char name[64];

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	snprintf(name, sizeof(name), ".jobcr-probe-%d", gettid());
	(void)unlinkat(dir_fd, name, 0);
	fd = openat(dir_fd, name,
		    O_CREAT | O_EXCL | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
	(void)unlinkat(dir_fd, name, 0);
	return fd;
}

bool ring_direct_works(int dir_fd)
{
	auto_close int fd = open_nameless(dir_fd);
	auto_free void *page = NULL;
	struct statfs st;

	if (fd < 0 || posix_memalign(&page, RING_ALIGN, RING_ALIGN))
		return false;
	/* It takes them, and all that it has is its page cache. */
	if (fstatfs(fd, &st) == 0 && st.f_type == TMPFS_MAGIC)
		return false;
	memset(page, 0, RING_ALIGN);
	return pwrite(fd, page, RING_ALIGN, 0) == (ssize_t)RING_ALIGN &&
	       fsync(fd) == 0;
}

bool ring_leave_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0;
}
