/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit.h"
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
	bench_open(&b, argv[1], mib << 20);
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
