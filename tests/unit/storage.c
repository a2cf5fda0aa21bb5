/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/reader.h"
#include "storage/ring.h"
#include "storage/store.h"
#include "storage/writer.h"
#include "tests/lib/fail_call.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"

#define MIB (1u << 20)

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

static void pattern(uint8_t *p, uint64_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = byte_at(from + i);
}

static bool is_pattern(const uint8_t *p, uint64_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != byte_at(from + i))
			return false;
	return true;
}

/* In pieces of odd lengths, as records come. */
static int put_pattern(struct writer *w, uint32_t stream, uint64_t len,
		       struct err *err)
{
	static uint8_t chunk[70000];
	uint64_t at = 0;
	int r = 0;

	while (at < len && r == 0) {
		size_t n = 1 + at * 7 % sizeof(chunk);

		n = n < len - at ? n : len - at;
		pattern(chunk, at, n);
		r = writer_put(w, stream, chunk, n, err);
		at += n;
	}
	return r;
}

static int submit_pattern(struct writer *w, uint32_t stream, uint64_t len,
			  struct err *err)
{
	uint64_t at = 0, offset;
	int r = 0;

	while (at < len && r == 0) {
		struct writer_buffer b;

		r = writer_get_buffer(w, &b, err);
		if (r < 0)
			break;
		if (b.room > len - at)
			b.room = len - at;
		pattern(b.data, at, b.room);
		r = writer_submit(w, stream, &b, b.room, &offset, err);
		if (r == 0 && offset != at)
			r = err_set(err, -EINVAL, "at %lu", (long)offset);
		at += b.room;
	}
	return r;
}

static bool file_is_pattern(int dir_fd, const char *name, uint64_t len)
{
	auto_free char *data = NULL;
	struct err err;
	size_t got;

	return read_file_at(dir_fd, name, 1 << 30, &data, &got, &err) == 0 &&
	       got == len && is_pattern((uint8_t *)data, 0, len);
}

static int write_streams(int dir_fd, const struct writer_limits *limits,
			 uint64_t put, uint64_t submit, struct err *err)
{
	struct writer *w;
	uint32_t a = 9, b = 9;
	int r = writer_new(dir_fd, limits, &w, err);

	if (r < 0)
		return r;
	r = writer_open(w, "a", &a, err);
	if (r == 0)
		r = writer_open(w, "b", &b, err);
	if (r == 0 && (a != 0 || b != 1))
		r = err_set(err, -EINVAL, "streams %u and %u", a, b);
	if (r == 0)
		r = put_pattern(w, a, put, err);
	if (r == 0)
		r = submit_pattern(w, b, submit, err);
	if (r == 0 &&
	    (writer_length(w, a) != put || writer_length(w, b) != submit))
		r = err_set(err, -EINVAL, "wrong lengths");
	if (r == 0)
		r = writer_finish(w, err);
	writer_free(w);
	return r;
}

static void test_write(const struct writer_limits *limits, const char *how)
{
	static const uint64_t puts[] = { 0,   1,       4095,        4096,
					 MIB, MIB + 1, 9 * MIB + 77 };
	struct err err = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(puts); i++) {
		uint64_t pages = (puts[i] + 4095) / 4096 * 4096 + 11 * MIB;
		char path[64];
		auto_close int dir_fd = temp_dir(path);
		int r = write_streams(dir_fd, limits, puts[i], pages, &err);

		ok(r == 0 && file_is_pattern(dir_fd, "a", puts[i]) &&
			   file_is_pattern(dir_fd, "b", pages),
		   "%s: %lu bytes and %lu bytes are as they were given: %s",
		   how, (long)puts[i], (long)pages, err.text);
		temp_dir_remove(path);
	}
}

struct seen {
	uint64_t bytes, pieces;
	bool wrong;
	int stop; /* answered at the third piece */
};

static int look(void *arg, const struct read_piece *p, const uint8_t *data,
		struct err *err)
{
	struct seen *s = arg;

	s->bytes += p->len;
	s->pieces++;
	if (p->tag != p->offset + p->stream ||
	    !is_pattern(data, p->offset, p->len))
		s->wrong = true;
	if (s->stop && s->pieces == 3)
		return err_set(err, s->stop, "enough");
	return 0;
}

/* Pieces of 4 KiB to 1 MiB that tile [0, len) of stream. */
static size_t cut_pieces(struct read_piece *p, uint32_t stream, uint64_t len)
{
	uint64_t at = 0;
	size_t n = 0;

	while (at < len) {
		uint32_t pages = 1 + (uint32_t)(at / 4096 * 13 % 256);

		if (pages > (len - at) / 4096)
			pages = (uint32_t)((len - at) / 4096);
		p[n++] = (struct read_piece){ .stream = stream,
					      .len = pages * 4096,
					      .offset = at,
					      .tag = at + stream };
		at += pages * 4096;
	}
	return n;
}

static void test_read(int dir_fd, const struct reader_limits *limits,
		      const char *how)
{
	struct read_piece *p = calloc(20000, sizeof(*p));
	struct seen seen = { 0 };
	struct err err = { 0 };
	struct reader *rd;
	uint64_t length = 0;
	uint32_t stream = 9;
	size_t n, i;

	ok(reader_new(dir_fd, limits, &rd, &err) == 0 &&
		   reader_open(rd, "b", &stream, &length, &err) == 0 &&
		   !stream && length == 20 * MIB,
	   "%s: a stream is opened: %s", how, err.text);
	n = cut_pieces(p, 0, length);
	ok(reader_run(rd, p, n, look, &seen, &err) == 0 && !seen.wrong &&
		   seen.bytes == length && seen.pieces == n,
	   "%s: each of %zu pieces comes once, and right: %s", how, n,
	   err.text);
	for (i = 0; i < n / 2; i++) {
		struct read_piece t = p[i];

		p[i] = p[n - 1 - i];
		p[n - 1 - i] = t;
	}
	memset(&seen, 0, sizeof(seen));
	ok(reader_run(rd, p, n, look, &seen, &err) == 0 && !seen.wrong &&
		   seen.bytes == length,
	   "%s: from the end to the beginning too", how);
	memset(&seen, 0, sizeof(seen));
	seen.stop = -ECANCELED;
	ok(reader_run(rd, p, n, look, &seen, &err) == -ECANCELED &&
		   seen.pieces == 3 && !strcmp(err.text, "enough"),
	   "%s: the caller's no is passed on at once", how);
	p[n - 1].offset = length;
	memset(&seen, 0, sizeof(seen));
	ok(reader_run(rd, p, n, look, &seen, &err) == -ENODATA &&
		   strstr(err.text, "b:"),
	   "%s: a piece beyond the end: %s", how, err.text);
	p[0].len = 100;
	ok(reader_run(rd, p, 1, look, &seen, &err) == -EINVAL,
	   "%s: a piece of half a page: %s", how, err.text);
	p[0].stream = 7;
	ok(reader_run(rd, p, 1, look, &seen, &err) == -EINVAL,
	   "%s: a stream that is not open: %s", how, err.text);
	reader_free(rd);
	free(p);
}

/* The file shrinks between open and read. */
static void test_shrunk(int dir_fd)
{
	auto_close int fd = -EBADF;
	struct read_piece p = { .len = MIB, .offset = 19 * MIB };
	struct seen seen = { 0 };
	struct err err = { 0 };
	struct reader *rd;
	uint32_t stream;

	if (reader_new(dir_fd, NULL, &rd, &err) < 0 ||
	    reader_open(rd, "b", &stream, NULL, &err) < 0)
		return;
	p.tag = p.offset;
	fd = openat(dir_fd, "b", O_RDWR | O_CLOEXEC);
	ok(ftruncate(fd, 19 * MIB + 8192) == 0, "cut behind our back");
	ok(reader_run(rd, &p, 1, look, &seen, &err) == -ENODATA,
	   "a stream that shrank is noticed: %s", err.text);
	reader_free(rd);
}

static void test_misuse(void)
{
	struct writer_limits limits = { .buffer_bytes = MIB, .buffers = 2 };
	struct writer_limits odd = { .buffer_bytes = MIB / 2 };
	struct writer_buffer b, c, d;
	struct err err = { 0 };
	struct writer *w;
	uint32_t a, s;
	char path[64];
	auto_close int dir_fd = temp_dir(path);

	ok(writer_new(dir_fd, &odd, &w, &err) == -EINVAL, "%s", err.text);
	if (writer_new(dir_fd, &limits, &w, &err) < 0)
		return;
	ok(writer_open(w, "../a", &a, &err) == -EINVAL, "%s", err.text);
	ok(writer_open(w, "a", &a, &err) == 0 &&
		   writer_open(w, "a", &s, &err) == -EEXIST,
	   "a stream that is there is not written over: %s", err.text);
	ok(writer_put(w, 5, "x", 1, &err) == -EINVAL, "%s", err.text);
	ok(writer_get_buffer(w, &b, &err) == 0 &&
		   writer_get_buffer(w, &c, &err) == 0 &&
		   writer_get_buffer(w, &d, &err) == -EBUSY,
	   "no buffer to wait for is an error, not for ever: %s", err.text);
	writer_free(w);
	temp_dir_remove(path);
}

/* A short write in the middle of a buffer, then the reason. */
static void test_short_write(void)
{
	struct rlimit limit = { 6 * MIB + 4096, 6 * MIB + 4096 };
	struct err err = { 0 };
	char path[64];
	auto_close int dir_fd = temp_dir(path);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int r;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		r = write_streams(dir_fd, NULL, 100, 20 * MIB, &err);
		diag("%s", err.text);
		_exit(r == -EFBIG && strstr(err.text, "b: write") ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "a file that may not grow stops the writer");
	temp_dir_remove(path);
}

/*
 * fn in a mount namespace of its own, where it prints no results.  It gives 0,
 * or 77 where it can mount nothing on path.
 */
static void in_own_mounts(int (*fn)(const char *path), const char *what)
{
	char path[64];
	int dir_fd = temp_dir(path), status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 ||
				      mount(NULL, "/", NULL,
					    MS_REC | MS_PRIVATE, NULL) < 0
			      ? 77
			      : fn(path));
	waitpid(pid, &status, 0);
	close(dir_fd);
	if (WEXITSTATUS(status) == 77)
		skip("cannot mount a tmpfs here");
	else
		ok(status == 0, "%s (%d)", what, WEXITSTATUS(status));
	temp_dir_remove(path);
}

static int full_disk(const char *path)
{
	struct err err = { 0 };
	struct statvfs before, after;
	int job_fd, dir_fd, r;
	uint32_t number;

	if (mount("small", path, "tmpfs", 0, "size=8m,mode=700") < 0)
		return 77;
	job_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (statvfs(path, &before) < 0 ||
	    store_begin(job_fd, NULL, &number, &dir_fd, &err) < 0)
		return 1;
	r = write_streams(dir_fd, NULL, 100, 20 * MIB, &err);
	diag("%s", err.text);
	/* Whichever stream comes first. */
	if (r != -ENOSPC || !strstr(err.text, ": write of "))
		return 2;
	if (store_newest(job_fd, NULL, &number, &err) != -ENOENT)
		return 3;
	close(dir_fd);
	if (store_discard(job_fd, 1, NULL, &err) < 0)
		return 4;
	if (statvfs(path, &after) < 0 || after.f_bfree != before.f_bfree)
		return 5;
	return 0;
}

/* Without CAP_IPC_LOCK 32 MiB of buffers cannot be registered. */
static void test_unregistered(void)
{
	struct err err = { 0 };
	char path[64];
	auto_close int dir_fd = temp_dir(path);
	int status = 0;
	pid_t pid;

	if (geteuid() != 0) {
		skip("not root: nothing to drop");
		return;
	}
	if (fchmod(dir_fd, 0777) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		struct rlimit limit = { 65536, 65536 };

		setrlimit(RLIMIT_MEMLOCK, &limit);
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(write_streams(dir_fd, NULL, 5, 12 * MIB, &err) == 0 &&
				      file_is_pattern(dir_fd, "b", 12 * MIB)
			      ? 0
			      : 1);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "without locked memory it is written all the same");
	temp_dir_remove(path);
}

/* The kernel lists the files of a ring, where it does at all. */
static bool ring_lists(const struct ring *ring, const char *name,
		       bool *ret_known)
{
	auto_free char *text = NULL;
	struct err err;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		 ring->uring.ring_fd);
	*ret_known =
		read_file_at(AT_FDCWD, path, 1 << 16, &text, NULL, &err) == 0 &&
		strstr(text, "UserFiles:");
	return *ret_known && strstr(text, name);
}

static bool writes_page(struct ring *ring, int fd, struct err *err)
{
	struct ring_request req = { .write = true, .fd = fd, .len = 4096 };
	unsigned int index;
	int res = 0;

	return ring_start(ring, &req, err) == 0 &&
	       ring_wait(ring, &index, &res, err) == 0 && res == 4096;
}

static void test_registered_files(void)
{
	char path[64], names[2][16] = { "jobcr-one", "jobcr-two" };
	auto_close int dir_fd = temp_dir(path);
	struct ring ring;
	struct err err = { 0 };
	int fds[2];
	bool known = false, lists = true;

	if (ring_init(&ring, MIB, 2, 1, NULL, &err) < 0)
		abort();
	for (int i = 0; i < 2; i++) {
		fds[i] = openat(dir_fd, names[i],
				O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		memset(ring_buffer(&ring, 0), '1' + i, 4096);
		for (int k = 0; k < 2; k++)
			ok(writes_page(&ring, fds[i], &err),
			   "%s is written to: %s", names[i], err.text);
	}
	for (int i = 0; i < 2; i++)
		lists = ring_lists(&ring, names[i], &known) && lists;
	if (ring.have_uring && known)
		ok(lists && ring.nfiles == 2, "both are registered, once");
	else
		skip("the kernel does not list a ring's files");
	ring_done(&ring);
	close(fds[0]);
	close(fds[1]);
	temp_dir_remove(path);
}

/* No more descriptors than these: no table of files. */
static void test_no_registered_files(void)
{
	struct err err = { 0 };
	char path[64];
	auto_close int dir_fd = temp_dir(path);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit limit = { RING_FILES - 1, RING_FILES - 1 };
		struct ring ring;

		if (setrlimit(RLIMIT_NOFILE, &limit) < 0 ||
		    ring_init(&ring, MIB, 2, 1, NULL, &err) < 0)
			_exit(2);
		if (ring.files_room)
			_exit(3);
		ring_done(&ring);
		_exit(write_streams(dir_fd, NULL, 5, 12 * MIB, &err) == 0 &&
				      file_is_pattern(dir_fd, "b", 12 * MIB)
			      ? 0
			      : 1);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "without registered files it is written all the same");
	temp_dir_remove(path);
}

static int unmount_at_once(const char *path)
{
	struct err err = { 0 };
	int dir_fd, r;

	if (mount("small", path, "tmpfs", 0, "mode=700") < 0)
		return 77;
	for (int i = 0; i < 20; i++) {
		dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = write_streams(dir_fd, NULL, 100, 12 * MIB, &err);
		close(dir_fd);
		if (r < 0 || umount(path) < 0)
			return 1;
		if (mount("small", path, "tmpfs", 0, "mode=700") < 0)
			return 2;
	}
	return 0;
}

/*
 * As where the administrator has set kernel.io_uring_disabled.  All results
 * come from the last process: it cannot be undone.
 */
static void test_no_io_uring(void)
{
	struct err err = { 0 };
	struct io_uring ring;
	char path[64];
	int dir_fd = temp_dir(path);

	if (!fail_call(SYS_io_uring_setup, EPERM)) {
		skip("no seccomp filters here");
	} else {
		ok(io_uring_queue_init(1, &ring, 0) == -EPERM &&
			   write_streams(dir_fd, NULL, 5, 20 * MIB, &err) == 0,
		   "without io_uring streams are written: %s", err.text);
		test_read(dir_fd, NULL, "without io_uring");
	}
	close(dir_fd);
	temp_dir_remove(path);
}

int main(void)
{
	struct writer_limits small = { .buffer_bytes = MIB, .buffers = 3 };
	struct writer_limits plain = { .no_direct = 1, .buffers = 3 };
	struct reader_limits few = { .buffer_bytes = MIB, .buffers = 2 };
	struct reader_limits buffered = { .no_direct = 1 };
	struct err err = { 0 };
	char path[64];
	auto_close int dir_fd = temp_dir(path);

	test_write(NULL, "direct");
	test_write(&small, "direct, small buffers");
	test_write(&plain, "buffered");
	ok(write_streams(dir_fd, NULL, 10, 20 * MIB, &err) == 0,
	   "streams to read: %s", err.text);
	test_read(dir_fd, NULL, "direct");
	test_read(dir_fd, &few, "direct, small buffers");
	test_read(dir_fd, &buffered, "buffered");
	test_shrunk(dir_fd);
	temp_dir_remove(path);
	test_misuse();
	test_short_write();
	in_own_mounts(full_disk, "a full disk: said, nothing published, room "
				 "given back");
	test_unregistered();
	test_registered_files();
	test_no_registered_files();
	in_own_mounts(unmount_at_once,
		      "no file is held when a writer has gone");
	test_no_io_uring();
	return done_testing();
}
