/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/limits.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "snapshot/snapshot.h"
#include "snapshot/stream.h"
#include "util/cleanup.h"

void meta_done(struct meta *meta)
{
	size_t i;

	for (i = 0; i < meta->count; i++)
		protobuf_c_message_free_unpacked(meta->entries[i].msg, NULL);
	free(meta->entries);
	meta->entries = NULL;
	meta->count = 0;
}

/* The digest covers all; the frames tell which record it is about. */
static int name_damage(const uint8_t *data, size_t len, struct err *err)
{
	struct img_record rec;
	size_t pos = 0;
	int r;

	do
		r = img_next(data, len, &pos, &rec, err);
	while (r > 0);
	return r < 0 ? r
		     : err_set(err, -EBADMSG,
			       "its SHA-256 is not the one in the manifest");
}

static int check_digest(const StreamEntry *stream, const uint8_t *data,
			size_t len, struct err *err)
{
	uint8_t sum[DIGEST_BYTES];
	struct digest *d;
	int r = digest_new(&d, err);

	if (r < 0)
		return r;
	digest_add(d, data, len);
	digest_end(d, sum);
	digest_free(d);
	if (stream->digest.len != DIGEST_BYTES)
		return err_set(err, -EBADMSG, "the manifest has no digest");
	if (memcmp(sum, stream->digest.data, DIGEST_BYTES) != 0)
		return name_damage(data, len, err);
	return 0;
}

static int count_records(const uint8_t *data, size_t len, size_t *ret,
			 struct err *err)
{
	struct img_record rec;
	size_t pos = 0, count = 0;
	int r;

	while ((r = img_next(data, len, &pos, &rec, err)) > 0)
		if (++count > META_MAX_RECORDS)
			return err_set(err, -EBADMSG, "more than %u records",
				       META_MAX_RECORDS);
	*ret = count;
	return r;
}

static int unpack_entry(const struct img_record *rec, struct meta_entry *ret,
			struct err *err)
{
	const ProtobufCMessageDescriptor *type = img_tag_type(rec->tag);
	int r;

	/* One that may be skipped has no message; it still counts. */
	ret->tag = rec->tag;
	ret->msg = NULL;
	if (!type && (rec->tag & TAG_OPTIONAL))
		return 0;
	if (!type)
		return err_set(err, -ENOTSUP,
			       "tag 0x%04x is unknown: made by a newer jobcr",
			       rec->tag);
	r = img_unpack(rec, type, &ret->msg, err);
	return r;
}

static int unpack_all(const uint8_t *data, size_t len, struct meta *meta,
		      struct err *err)
{
	struct img_record rec;
	size_t pos = 0, at = 0, count = 0;
	int r = count_records(data, len, &count, err);

	if (r < 0)
		return r;
	meta->entries = calloc(count, sizeof(*meta->entries));
	if (!meta->entries)
		return err_num(err, ENOMEM, "%zu records", count);
	while (img_next(data, len, &pos, &rec, err) > 0) {
		r = unpack_entry(&rec, &meta->entries[meta->count], err);
		if (r < 0)
			return err_wrap(err, r, "record at byte %zu", at);
		meta->count++;
		at = pos;
	}
	return 0;
}

/* Entries of the optional kind that nobody here can read are dropped last. */
static int check_end(struct meta *meta, struct err *err)
{
	const struct meta_entry *last = &meta->entries[meta->count - 1];
	const PartEndRecord *end = (const PartEndRecord *)last->msg;
	size_t i, kept = 0;

	if (last->tag != TAG_PART_END)
		return err_set(err, -EBADMSG, "its end is missing");
	if (end->records != meta->count - 1)
		return err_set(err, -EBADMSG,
			       "%zu records, its end says there were %u",
			       meta->count - 1, end->records);
	for (i = 0; i < meta->count; i++)
		if (meta->entries[i].msg)
			meta->entries[kept++] = meta->entries[i];
	meta->count = kept;
	return 0;
}

int snapshot_meta(int dir_fd, const struct user_id *user, const PartEntry *part,
		  struct meta *ret, struct err *err)
{
	const StreamEntry *stream = part->streams[0];
	auto_free uint8_t *data = NULL;
	struct meta meta = { 0 };
	size_t len;
	int r;

	r = stream_load(dir_fd, user, stream->name, stream->length,
			META_MAX_BYTES, &data, &len, err);
	/* The manifest says that it is there: not "no snapshot". */
	if (r == -ENOENT)
		r = err_set(err, -EBADMSG, "%s: missing", stream->name);
	if (r < 0)
		return r;
	r = check_digest(stream, data, len, err);
	if (r == 0)
		r = unpack_all(data, len, &meta, err);
	if (r == 0)
		r = check_end(&meta, err);
	if (r < 0) {
		meta_done(&meta);
		return err_wrap(err, r, "%s", stream->name);
	}
	*ret = meta;
	return 0;
}
