/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "images/limits.h"
#include "images/tags.h"
#include "snapshot/extents.h"
#include "snapshot/output.h"
#include "snapshot/snapshot.h"
#include "storage/reader.h"
#include "util/cleanup.h"

#define BUFFER_BYTES (4u << 20)
#define BUFFERS      8u

static int open_streams(struct reader *reader, const PartEntry *part,
			struct err *err)
{
	size_t k;

	for (k = 1; k < part->n_streams; k++) {
		const StreamEntry *s = part->streams[k];
		uint64_t length;
		uint32_t number;
		int r = reader_open(reader, s->name, &number, &length, err);

		if (r == -ENOENT)
			r = err_set(err, -EBADMSG, "%s: missing", s->name);
		if (r < 0)
			return r;
		if (number != k - 1)
			return err_set(err, -EINVAL, "%s: the reader is in use",
				       s->name);
		if (length != s->length)
			return err_set(err, -EBADMSG,
				       "%s: has %" PRIu64
				       " bytes, the manifest says %" PRIu64,
				       s->name, length, s->length);
	}
	return 0;
}

int snapshot_open_pages(struct reader *reader, const struct user_id *user,
			const PartEntry *part, struct err *err)
{
	int r = user ? as_user(user, err) : 0;

	if (r < 0)
		return r;
	r = open_streams(reader, part, err);
	if (user)
		as_root();
	return r;
}

struct verify {
	int dir_fd;
	const struct user_id *user;
	enum verify_how how;
	void (*alive)(void *arg);
	void *arg;
};

struct hash_check {
	const struct verify *v;
	const PartEntry *part;
	const struct extent_list *list;
};

static int check_hash(void *arg, const struct read_piece *piece,
		      const uint8_t *data, struct err *err)
{
	const struct hash_check *c = arg;
	const struct extent_ref *ref = &c->list->refs[piece->tag];

	if (c->v->alive)
		c->v->alive(c->v->arg);
	if (extent_hash(data, piece->len) == ref->extent->hash)
		return 0;
	return err_set(err, -EBADMSG,
		       "%s: %u bytes at %" PRIu64 " (%s %" PRIu64
		       ", address 0x%" PRIx64 "): the checksum is wrong",
		       c->part->streams[ref->extent->stream]->name, piece->len,
		       piece->offset, ref->pid ? "pid" : "object",
		       ref->pid ? (uint64_t)ref->pid : ref->object,
		       ref->extent->address);
}

static int read_pages(const struct verify *v, struct reader *reader,
		      const struct blocks *blocks,
		      const struct extent_list *list, struct err *err)
{
	struct hash_check check = { v, blocks->part, list };
	auto_free struct read_piece *pieces =
		calloc(list->count ? list->count : 1, sizeof(*pieces));
	size_t i, n = 0;

	if (!pieces)
		return err_num(err, ENOMEM, "%zu extents", list->count);
	for (i = 0; i < list->count; i++) {
		const Extent *x = list->refs[i].extent;

		/* Another part of the same. */
		if (i && x == list->refs[i - 1].extent)
			continue;
		pieces[n++] = (struct read_piece){ .stream = x->stream - 1,
						   .len = x->pages * IMAGE_PAGE,
						   .offset = x->offset,
						   .tag = i };
	}
	return blocks_read(reader, blocks, pieces, n, check_hash, &check, err);
}

/* Few pages need few buffers: taking them costs more than reading. */
static struct reader_limits limits_for(const PartEntry *part,
				       enum verify_how how)
{
	struct reader_limits limits = { .buffer_bytes = BUFFER_BYTES,
					.no_direct = how == VERIFY_BUFFERED };
	uint64_t bytes = 0;
	size_t k;

	for (k = 1; k < part->n_streams; k++)
		bytes += part->streams[k]->length;
	limits.buffers = bytes / BUFFER_BYTES < BUFFERS
				 ? (unsigned int)(bytes / BUFFER_BYTES) + 1
				 : BUFFERS;
	return limits;
}

static int verify_pages(const struct verify *v, const PartEntry *part,
			const struct meta *meta, struct err *err)
{
	struct blocks blocks = { .part = part };
	struct extent_list list = { 0 };
	struct reader_limits limits = limits_for(part, v->how);
	struct reader *reader;
	bool hashes = v->how != VERIFY_FILES;
	int r = reader_new(v->dir_fd, &limits, &reader, err);

	if (r < 0)
		return r;
	r = snapshot_open_pages(reader, v->user, part, err);
	if (r == 0 && hashes)
		r = blocks_collect(meta, &blocks, err);
	if (r == 0 && hashes)
		r = extents_collect(meta, &list, err);
	if (r == 0 && hashes) {
		extents_sort_by_place(&list);
		r = read_pages(v, reader, &blocks, &list, err);
	}
	free(list.refs);
	blocks_done(&blocks);
	reader_free(reader);
	return r;
}

static int verify_outputs(const struct verify *v, const struct meta *meta,
			  struct err *err)
{
	size_t i;
	int r = begin_as(v->user, err);

	if (r < 0)
		return r;
	for (i = 0; i < meta->count && r == 0; i++)
		if (meta->entries[i].tag == TAG_OUTPUT)
			r = output_verify(
				v->dir_fd,
				(const OutputRecord *)meta->entries[i].msg,
				v->alive, v->arg, err);
	end_as(v->user);
	return r;
}

static int verify_part(const struct verify *v, const PartEntry *part,
		       struct err *err)
{
	struct meta meta = { 0 };
	int r = snapshot_meta(v->dir_fd, v->user, part, &meta, err);

	if (r == 0)
		r = snapshot_check_meta(part, &meta, err);
	if (r == 0)
		r = verify_pages(v, part, &meta, err);
	if (r == 0 && v->how != VERIFY_FILES)
		r = verify_outputs(v, &meta, err);
	meta_done(&meta);
	return r;
}

int snapshot_verify_parts(int dir_fd, const struct user_id *user,
			  const ManifestRecord *m, enum verify_how how,
			  void (*alive)(void *arg), void *arg, struct err *err)
{
	const struct verify v = { .dir_fd = dir_fd,
				  .user = user,
				  .how = how,
				  .alive = alive,
				  .arg = arg };
	int r = 0;

	for (size_t i = 0; i < m->n_parts && r == 0; i++)
		r = verify_part(&v, m->parts[i], err);
	return r;
}

int snapshot_verify(int dir_fd, const struct user_id *user, enum verify_how how,
		    struct err *err)
{
	ManifestRecord *m;
	int r = snapshot_manifest(dir_fd, user, &m, err);

	if (r < 0)
		return r;
	r = snapshot_verify_parts(dir_fd, user, m, how, NULL, NULL, err);
	manifest_record__free_unpacked(m, NULL);
	return r;
}
