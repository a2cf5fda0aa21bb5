/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/births.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct births {
	uint8_t *data;
	size_t count;
	struct read_piece pieces[]; /* tag: where in data */
};

static void settle_anywhere(void *arg, unsigned int number,
			    const struct read_piece *pieces, size_t count)
{
	(void)arg;
	(void)number;
	(void)pieces;
	(void)count;
}

static int keep(void *arg, struct reading_hand *hand,
		const struct read_piece *piece, const uint8_t *data,
		struct err *err)
{
	const struct births *b = arg;

	(void)hand;
	(void)err;
	memcpy(b->data + piece->tag, data, piece->len);
	return 0;
}

static uint64_t place(struct births *b, const struct reading_args *args)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < args->count; i++) {
		b->pieces[i] = args->pieces[i];
		b->pieces[i].tag = bytes;
		bytes += args->pieces[i].len;
	}
	b->count = args->count;
	return bytes;
}

static int read_all(struct births *b, const struct reading_args *args,
		    struct err *err)
{
	struct reading_args own = *args;
	struct reading *reading = NULL;
	int r;

	own.pieces = b->pieces;
	own.settle = settle_anywhere;
	r = reading_begin(&own, &reading, err);
	if (r == 0)
		r = reading_end(reading, keep, b, err);
	reading_free(reading);
	return r;
}

int births_read(const struct reading_args *args, struct births **ret,
		struct err *err)
{
	struct births *b;
	uint64_t bytes;
	int r;

	*ret = NULL;
	b = calloc(1, sizeof(*b) + args->count * sizeof(*b->pieces));
	if (!b)
		return err_num(err, ENOMEM, "%zu extents", args->count);
	bytes = place(b, args);
	if (bytes == 0 || bytes > BIRTHS_BYTES) {
		births_free(b);
		return 0;
	}
	b->data = malloc(bytes);
	r = b->data ? read_all(b, args, err)
		    : err_num(err, ENOMEM, "%zu extents", args->count);
	if (r == 0)
		*ret = b;
	else
		births_free(b);
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct read_piece *x = a, *y = b;

	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

const uint8_t *births_find(const struct births *b,
			   const struct read_piece *piece)
{
	const struct read_piece *p =
		b ? bsearch(piece, b->pieces, b->count, sizeof(*p), by_place)
		  : NULL;

	/* Of a stream that is borrowed two may begin there. */
	return p && p->len == piece->len ? b->data + p->tag : NULL;
}

void births_free(struct births *b)
{
	if (!b)
		return;
	free(b->data);
	free(b);
}
