/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/blocks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "images/limits.h"
#include "images/tags.h"
#include "snapshot/pack.h"
#include "util/cleanup.h"

static int bad(const BlocksRecord *rec, size_t i, const char *what,
	       struct err *err)
{
	return err_set(err, -EBADMSG, "block %zu of a record of stream %u: %s",
		       i, rec->stream, what);
}

static int check_block(const BlocksRecord *rec, size_t i, struct err *err)
{
	const Block *b = rec->blocks[i];

	if (!b->bytes || b->bytes > BLOCK_MAX_BYTES || b->bytes % IMAGE_PAGE)
		return bad(rec, i, "its length is not allowed", err);
	if (b->codec >= CODECS)
		return err_set(err, -ENOTSUP,
			       "block %zu of a record of stream %u: codec %u "
			       "is unknown: a newer jobcr may know it",
			       i, rec->stream, b->codec);
	if (b->codec == CODEC_NONE)
		return b->stored == b->bytes
			       ? 0
			       : bad(rec, i, "unpacked, and not as long", err);
	if (!b->stored || b->stored > b->bytes || b->stored % IMAGE_PAGE)
		return bad(rec, i, "its stored length is not allowed", err);
	if (!b->has_packed || !b->has_hash || b->packed > b->stored ||
	    b->stored - b->packed >= IMAGE_PAGE)
		return bad(rec, i, "its packed length is not allowed", err);
	return 0;
}

static int add_place(struct block_stream *s, const Block *block,
		     struct err *err)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct block_place *p =
			reallocarray(s->places, room, sizeof(*p));

		if (!p)
			return err_num(err, ENOMEM, "%zu blocks", room);
		s->places = p;
		s->room = room;
	}
	s->places[s->count++] =
		(struct block_place){ s->at, s->offset, block };
	s->at += block->bytes;
	s->offset += block->stored;
	return 0;
}

int blocks_add(struct blocks *b, const BlocksRecord *rec, struct err *err)
{
	const PartEntry *part = b->part;
	int r = 0;

	if (!rec->stream || rec->stream >= part->n_streams)
		return err_set(err, -EBADMSG, "blocks of stream %u of %zu",
			       rec->stream, part->n_streams);
	if (!rec->n_blocks || rec->n_blocks > BLOCKS_PER_RECORD)
		return err_set(err, -EBADMSG, "%zu blocks of stream %u",
			       rec->n_blocks, rec->stream);
	if (!b->streams) {
		b->streams = calloc(part->n_streams, sizeof(*b->streams));
		if (!b->streams)
			return err_num(err, ENOMEM, "blocks");
		b->count = part->n_streams;
	}
	for (size_t i = 0; i < rec->n_blocks && r == 0; i++) {
		r = check_block(rec, i, err);
		if (r == 0)
			r = add_place(&b->streams[rec->stream], rec->blocks[i],
				      err);
	}
	return r;
}

static const struct block_stream *stream_of(const struct blocks *b,
					    size_t stream)
{
	return stream < b->count && b->streams[stream].count
		       ? &b->streams[stream]
		       : NULL;
}

int blocks_check(const struct blocks *b, struct err *err)
{
	const PartEntry *part = b->part;

	for (size_t k = 1; k < part->n_streams; k++) {
		const struct block_stream *s = stream_of(b, k);

		if (s && s->offset != part->streams[k]->length)
			return err_set(err, -EBADMSG,
				       "%s: blocks end at %" PRIu64
				       ", it has %" PRIu64 " bytes",
				       part->streams[k]->name, s->offset,
				       part->streams[k]->length);
	}
	return 0;
}

int blocks_collect(const struct meta *meta, struct blocks *ret,
		   struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < meta->count && r == 0; i++)
		if (meta->entries[i].tag == TAG_BLOCKS)
			r = blocks_add(
				ret,
				(const BlocksRecord *)meta->entries[i].msg,
				err);
	return r < 0 ? r : blocks_check(ret, err);
}

void blocks_done(struct blocks *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->streams[i].places);
	free(b->streams);
	*b = (struct blocks){ 0 };
}

/* The block with this byte; NULL: there is none. */
static const struct block_place *find(const struct block_stream *s, uint64_t at)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->places[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || at >= s->at)
		return NULL;
	return &s->places[low - 1];
}

uint64_t blocks_length(const struct blocks *b, size_t stream)
{
	const struct block_stream *s = stream_of(b, stream);

	return s ? s->at : b->part->streams[stream]->length;
}

uint64_t blocks_end(const struct blocks *b, size_t stream, uint64_t at)
{
	const struct block_stream *s = stream_of(b, stream);
	const struct block_place *place = s ? find(s, at) : NULL;

	if (!s)
		return b->part->streams[stream]->length;
	return place ? place->at + place->block->bytes : 0;
}

/* Pieces of a run, and what is read for them: whole blocks. */
struct run {
	const struct blocks *blocks;
	const struct read_piece *pieces;
	size_t count;
	const struct block_place **places; /* of each that is read, or NULL */
	struct read_piece *reads;          /* tag: their number */
	size_t *first;                     /* piece of each that is read */
	size_t nreads;
	struct packer *packer;
	reader_done_fn done;
	void *arg;
};

static int deliver(const struct run *run, size_t read, const uint8_t *data,
		   struct err *err)
{
	const struct block_place *place = run->places[read];
	size_t end = read + 1 < run->nreads ? run->first[read + 1] : run->count;
	int r = 0;

	for (size_t i = run->first[read]; i < end && r >= 0; i++) {
		const struct read_piece *p = &run->pieces[i];

		r = run->done(run->arg, p,
			      place ? data + (p->offset - place->at) : data,
			      err);
	}
	return r;
}

static int take(void *arg, const struct read_piece *piece, const uint8_t *data,
		struct err *err)
{
	struct run *run = arg;
	const struct block_place *place = run->places[piece->tag];
	const Block *b = place ? place->block : NULL;
	const char *name =
		run->blocks->part->streams[piece->stream + 1]->name;
	int r;

	if (!b || b->codec == CODEC_NONE)
		return deliver(run, piece->tag, data, err);
	if (extent_hash(data, b->stored) != b->hash)
		return err_set(err, -EBADMSG,
			       "%s: damaged: the %u bytes at %" PRIu64
			       " have not the hash they were saved with",
			       name, b->stored, place->offset);
	if (!run->packer)
		run->packer = packer_new();
	if (!run->packer)
		return err_num(err, ENOMEM, "a block");
	r = unpack_block(run->packer, (enum codec)b->codec, data, b->packed,
			 b->bytes, &data, err);
	if (r < 0)
		return err_wrap(err, r, "%s: %u bytes at %" PRIu64, name,
				b->packed, place->offset);
	return deliver(run, piece->tag, data, err);
}

static int plan_piece(struct run *run, size_t i, struct err *err)
{
	const struct read_piece *p = &run->pieces[i];
	const struct block_stream *s = stream_of(run->blocks, p->stream + 1);
	const struct block_place *place = s ? find(s, p->offset) : NULL;
	size_t n = run->nreads;

	if (s &&
	    (!place || p->len > place->at + place->block->bytes - p->offset))
		return err_set(err, -EBADMSG,
			       "%s: %u bytes at %" PRIu64
			       " are not in one block",
			       run->blocks->part->streams[p->stream + 1]->name,
			       p->len, p->offset);
	if (place && n && run->places[n - 1] == place)
		return 0;
	run->places[n] = place;
	run->first[n] = i;
	run->reads[n] = *p;
	if (place) {
		run->reads[n].len = place->block->stored;
		run->reads[n].offset = place->offset;
	}
	run->reads[n].tag = n;
	run->nreads++;
	return 0;
}

int blocks_read(struct reader *r, const struct blocks *b,
		const struct read_piece *pieces, size_t count,
		reader_done_fn done, void *arg, struct err *err)
{
	auto_free const struct block_place **places =
		calloc(count + 1, sizeof(*places));
	auto_free struct read_piece *reads = calloc(count + 1, sizeof(*reads));
	auto_free size_t *first = calloc(count + 1, sizeof(*first));
	struct run run = { .blocks = b,
			   .pieces = pieces,
			   .count = count,
			   .places = places,
			   .reads = reads,
			   .first = first,
			   .done = done,
			   .arg = arg };
	int ret = 0;

	if (!b->count)
		return reader_run(r, pieces, count, done, arg, err);
	if (!places || !reads || !first)
		return err_num(err, ENOMEM, "%zu pieces", count);
	for (size_t i = 0; i < count && ret == 0; i++)
		ret = plan_piece(&run, i, err);
	if (ret == 0)
		ret = reader_run(r, reads, run.nreads, take, &run, err);
	packer_free(run.packer);
	return ret;
}
