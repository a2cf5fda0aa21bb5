/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "snapshot/snapshot.h"
#include "storage/reader.h"
#include "storage/writer.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * What a directory can do with O_DIRECT, by a loop that does nothing else,
 * beside what writer and reader make of it.  Runs alternate, so that a disk
 * that drifts drifts for both.  Prints; never judges.
 */

#define BLOCK (4u << 20)
#define DEPTH 8u
#define RUNS  5
#define NAME  ".jobcr-bench"

struct bench {
	int dir_fd;
	uint64_t bytes;
	uint8_t *source; /* DEPTH blocks of noise */
};

static void die(const char *what, int code)
{
	fprintf(stderr, "bench: %s: %s\n", what,
		strerror(code < 0 ? -code : errno));
	exit(1);
}

static void die_of(const struct err *err)
{
	fprintf(stderr, "bench: %s\n", err->text);
	exit(1);
}

static void noise(uint8_t *p, size_t len)
{
	uint64_t x = 88172645463325252ull;
	size_t i;

	for (i = 0; i < len; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p + i, &x, 8);
	}
}

static void submit(struct io_uring *ring, bool write, int fd, uint8_t *data,
		   unsigned int slot, uint64_t at)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (write)
		io_uring_prep_write_fixed(sqe, fd, data + slot * BLOCK, BLOCK,
					  at, (int)slot);
	else
		io_uring_prep_read_fixed(sqe, fd, data + slot * BLOCK, BLOCK,
					 at, (int)slot);
	sqe->user_data = slot;
	if (io_uring_submit(ring) < 0)
		die("submit", 0);
}

static void transfer(const struct bench *b, struct io_uring *ring, bool write,
		     int fd)
{
	uint64_t at = 0, done = 0;
	unsigned int slot;

	for (slot = 0; slot < DEPTH && at < b->bytes; slot++, at += BLOCK)
		submit(ring, write, fd, b->source, slot, at);
	while (done < b->bytes) {
		struct io_uring_cqe *cqe;
		int r = io_uring_wait_cqe(ring, &cqe);

		if (r < 0 || cqe->res != (int)BLOCK)
			die("raw transfer", r < 0 ? r : cqe->res);
		slot = (unsigned int)cqe->user_data;
		io_uring_cqe_seen(ring, cqe);
		done += BLOCK;
		if (at < b->bytes) {
			submit(ring, write, fd, b->source, slot, at);
			at += BLOCK;
		}
	}
}

/* A disk mounted with discard gives blocks back at the next commit. */
static void clear(const struct bench *b)
{
	(void)unlinkat(b->dir_fd, NAME, 0);
	(void)syncfs(b->dir_fd);
}

static double raw(const struct bench *b, bool write)
{
	int flags = write ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY;
	struct iovec iov[DEPTH];
	struct io_uring ring;
	uint64_t start;
	unsigned int i;
	int fd;

	if (write)
		clear(b);
	for (i = 0; i < DEPTH; i++)
		iov[i] = (struct iovec){ b->source + i * BLOCK, BLOCK };
	if (io_uring_queue_init(DEPTH, &ring, 0) < 0 ||
	    io_uring_register_buffers(&ring, iov, DEPTH) < 0)
		die("io_uring", 0);
	start = clock_monotonic_ns();
	fd = openat(b->dir_fd, NAME, flags | O_DIRECT | O_CLOEXEC, 0600);
	if (fd < 0)
		die("open with O_DIRECT", 0);
	if (write)
		(void)fallocate(fd, 0, 0, (off_t)b->bytes);
	transfer(b, &ring, write, fd);
	if (write && fsync(fd) < 0)
		die("fsync", 0);
	start = clock_monotonic_ns() - start;
	close(fd);
	io_uring_queue_exit(&ring);
	return (double)b->bytes / (double)start;
}

static double by_writer(const struct bench *b)
{
	struct writer_buffer buffer;
	struct writer *w;
	struct err err;
	uint32_t stream;
	uint64_t at, start;

	clear(b);
	if (writer_new(b->dir_fd, NULL, &w, &err) < 0)
		die_of(&err);
	start = clock_monotonic_ns();
	if (writer_open(w, NAME, &stream, &err) < 0)
		die_of(&err);
	for (at = 0; at < b->bytes; at += BLOCK) {
		if (writer_get_buffer(w, &buffer, &err) < 0)
			die_of(&err);
		memcpy(buffer.data, b->source + at / BLOCK % DEPTH * BLOCK,
		       BLOCK);
		if (writer_submit(w, stream, &buffer, BLOCK, NULL, &err) < 0)
			die_of(&err);
	}
	if (writer_finish(w, &err) < 0)
		die_of(&err);
	start = clock_monotonic_ns() - start;
	writer_free(w);
	return (double)b->bytes / (double)start;
}

static int sum(void *arg, const struct read_piece *piece, const uint8_t *data,
	       struct err *err)
{
	*(uint64_t *)arg ^= extent_hash(data, piece->len);
	return 0;
}

/* In extents of 1 MiB, each with its checksum, as a restore reads. */
static double by_reader(const struct bench *b)
{
	size_t count = b->bytes >> 20, i;
	struct read_piece *pieces = calloc(count, sizeof(*pieces));
	struct reader *reader;
	uint64_t start, hash = 0;
	struct err err;
	uint32_t stream;

	if (!pieces || reader_new(b->dir_fd, NULL, &reader, &err) < 0)
		die("reader", -ENOMEM);
	for (i = 0; i < count; i++) {
		pieces[i].len = 1 << 20;
		pieces[i].offset = (uint64_t)i << 20;
	}
	start = clock_monotonic_ns();
	if (reader_open(reader, NAME, &stream, NULL, &err) < 0 ||
	    reader_run(reader, pieces, count, sum, &hash, &err) < 0)
		die_of(&err);
	start = clock_monotonic_ns() - start;
	reader_free(reader);
	free(pieces);
	return (double)b->bytes / (double)start;
}

static double copy(const struct bench *b)
{
	uint8_t *to = malloc(DEPTH * BLOCK);
	uint64_t start;
	unsigned int i;

	if (!to)
		die("memory", -ENOMEM);
	memcpy(to, b->source, DEPTH * BLOCK);
	start = clock_monotonic_ns();
	for (i = 0; i < 32; i++)
		memcpy(to + i % DEPTH * BLOCK,
		       b->source + (i + 1) % DEPTH * BLOCK, BLOCK);
	start = clock_monotonic_ns() - start;
	free(to);
	return 32.0 * BLOCK / (double)start;
}

static int by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double show(const char *what, double rates[RUNS], double limit)
{
	qsort(rates, RUNS, sizeof(*rates), by_rate);
	printf("%-34s %6.2f GB/s  [%.2f..%.2f]", what, rates[RUNS / 2],
	       rates[0], rates[RUNS - 1]);
	if (limit > 0)
		printf("  %3.0f %%", 100 * rates[RUNS / 2] / limit);
	putchar('\n');
	return rates[RUNS / 2];
}

int main(int argc, char **argv)
{
	double rate[5][RUNS];
	uint64_t mib = 1024;
	struct bench b;
	double limit;
	int i;

	if (argc < 2 || argc > 3 ||
	    (argc == 3 && parse_u64(argv[2], 1 << 20, &mib) < 0) || !mib) {
		fprintf(stderr, "usage: disk DIRECTORY [MIB]\n");
		return 2;
	}
	b.bytes = (mib << 20) / BLOCK * BLOCK;
	b.dir_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Huge pages: pinning small ones would be a limit of its own. */
	b.source = aligned_alloc(BLOCK, DEPTH * BLOCK);
	if (b.dir_fd < 0 || !b.source || !b.bytes)
		die(argv[1], 0);
	(void)madvise(b.source, DEPTH * BLOCK, MADV_HUGEPAGE);
	noise(b.source, DEPTH * BLOCK);
	for (i = 0; i < RUNS; i++) {
		rate[0][i] = raw(&b, true);
		rate[2][i] = raw(&b, false);
		rate[1][i] = by_writer(&b);
		rate[3][i] = by_reader(&b);
		rate[4][i] = copy(&b);
	}
	(void)unlinkat(b.dir_fd, NAME, 0);
	printf("%lu MiB, blocks of 4 MiB, depth 8, median of %d\n",
	       (unsigned long)mib, RUNS);
	limit = show("O_DIRECT write, with fsync: limit", rate[0], 0);
	show("  writer, filled by memcpy", rate[1], limit);
	limit = show("O_DIRECT read: limit", rate[2], 0);
	show("  reader, with checksums", rate[3], limit);
	show("memcpy", rate[4], 0);
	return 0;
}
