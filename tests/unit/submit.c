/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel does not take a request: whatever it was, no stream that is
 * finished lacks anything, or gets more later.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "storage/bucket.h"
#include "storage/writer.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define BYTES 200077u /* two of these are more than the bucket has */
#define RATE  (1u << 20)
#define TIMES 8 /* more than one writer asks */

static unsigned int asked, refused; /* which of them */

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring)
{
	return ++asked == refused ? -EBUSY : __real_io_uring_submit(ring);
}

static int put_page(struct writer *w, uint32_t stream, struct err *err)
{
	struct writer_buffer buffer;
	int r = writer_get_buffer(w, &buffer, err);

	if (r < 0)
		return r;
	memset(buffer.data, 1, 4096);
	return writer_submit(w, stream, &buffer, 4096, NULL, err);
}

/* The last two are written one after the other, so slow is the storage. */
static int write_all_of(struct writer *w, const uint8_t *data, struct err *err)
{
	uint32_t a = 0, b = 0, c = 0;
	int r = writer_open(w, "a", &a, err);

	if (r == 0)
		r = writer_open(w, "b", &b, err);
	if (r == 0)
		r = writer_open(w, "c", &c, err);
	for (int i = 0; i < 3 && r == 0; i++)
		r = put_page(w, c, err);
	if (r == 0)
		r = writer_put(w, a, data, BYTES, err);
	if (r == 0)
		r = writer_put(w, b, data, BYTES, err);
	/* What was asked for may be over before it is waited for. */
	if (r == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	return r == 0 ? writer_finish(w, err) : r;
}

static int write_slowly(int dir_fd, struct bucket *bandwidth,
			const uint8_t *data, struct err *err)
{
	const struct writer_limits limits = { .bandwidth = bandwidth };
	struct writer *w;
	int r = writer_new(dir_fd, &limits, &w, err);

	if (r < 0)
		return r;
	r = write_all_of(w, data, err);
	writer_free(w);
	return r;
}

static bool has(int dir_fd, const char *name, off_t length)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, 0) == 0 && st.st_size == length;
}

/* What is said to be finished is; *ret_failed: it is not. */
static bool is_right(const uint8_t *data, bool *ret_failed)
{
	struct bucket *bandwidth = NULL;
	struct err err = { 0 };
	char path[64], level[80];
	auto_close int dir_fd = temp_dir(path);
	bool good;
	int r;

	(void)snprintf(level, sizeof(level), "%s/level", path);
	r = bucket_open(level, RATE, &bandwidth, &err);
	if (r == 0)
		r = write_slowly(dir_fd, bandwidth, data, &err);
	good = r < 0 || (has(dir_fd, "a", BYTES) && has(dir_fd, "b", BYTES) &&
			 has(dir_fd, "c", 3 * 4096));
	*ret_failed = r < 0;
	bucket_free(bandwidth);
	temp_dir_remove(path);
	return good;
}

int main(void)
{
	auto_free uint8_t *data = malloc(BYTES);
	bool failed;

	if (!data)
		return 1;
	memset(data, 1, BYTES);
	ok(is_right(data, &failed) && !failed, "streams are written");
	for (refused = 1; refused <= TIMES; refused++) {
		asked = 0;
		ok(is_right(data, &failed) && (failed || asked < refused),
		   "request %u is not taken, and that is said", refused);
	}
	return done_testing();
}
