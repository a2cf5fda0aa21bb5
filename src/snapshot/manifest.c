/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/limits.h"
#include "images/tags.h"
#include "snapshot/snapshot.h"
#include "snapshot/stream.h"
#include "util/cleanup.h"

#define PAGES_MAX_BYTES (1ull << 62)

/* Features of images that this version can restore; none so far. */
static const char *const known_features[] = { SNAPSHOT_TERMINAL,
					      SNAPSHOT_UPROBES,
					      SNAPSHOT_INCREMENTAL, NULL };

static bool is_known(const char *feature)
{
	const char *const *k;

	for (k = known_features; *k; k++)
		if (!strcmp(*k, feature))
			return true;
	return false;
}

static int check_stream(const StreamEntry *s, bool meta, struct err *err)
{
	if (!stream_name_ok(s->name))
		return err_set(err, -EBADMSG, "not a name of a stream");
	if (meta && s->digest.len != DIGEST_BYTES)
		return err_set(err, -EBADMSG, "%s: no SHA-256 digest", s->name);
	if (!meta && s->digest.len)
		return err_set(err, -EBADMSG, "%s: a digest of pages", s->name);
	if (meta && (!s->length || s->length > META_MAX_BYTES))
		return err_set(err, -EBADMSG, "%s: length %llu", s->name,
			       (unsigned long long)s->length);
	if (!meta && (s->length % IMAGE_PAGE || s->length > PAGES_MAX_BYTES))
		return err_set(err, -EBADMSG,
			       "%s: length %llu: not whole pages", s->name,
			       (unsigned long long)s->length);
	return 0;
}

/* Whoever does not know them reads other pages than were meant. */
static int check_borrowed(const ManifestRecord *m, struct err *err)
{
	bool named = false, borrowed = false;
	size_t i, k;

	for (i = 0; i < m->n_features; i++)
		named |= !strcmp(m->features[i], SNAPSHOT_INCREMENTAL);
	for (i = 0; i < m->n_parts; i++)
		for (k = 0; k < m->parts[i]->n_streams; k++) {
			const StreamEntry *s = m->parts[i]->streams[k];

			if (!s->has_borrowed_from)
				continue;
			borrowed = true;
			if (k == 0 || !s->borrowed_from ||
			    s->borrowed_from >= m->generation)
				return err_set(err, -EBADMSG,
					       "%s: borrowed from generation "
					       "%u",
					       s->name, s->borrowed_from);
		}
	return borrowed == named ? 0
				 : err_set(err, -EBADMSG,
					   "streams are%s borrowed, the "
					   "features say otherwise",
					   borrowed ? "" : " not");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two streams in one file, no two parts of one node. */
static int check_unique(const char **names, size_t count, const char *what,
			struct err *err)
{
	size_t i;

	qsort(names, count, sizeof(*names), by_text);
	for (i = 1; i < count; i++)
		if (!strcmp(names[i - 1], names[i]))
			return err_set(err, -EBADMSG, "%s %s is there twice",
				       what, names[i]);
	return 0;
}

static int check_names(const ManifestRecord *m, struct err *err)
{
	auto_free const char **names = NULL;
	size_t count = 0, i, k;
	int r;

	for (i = 0; i < m->n_parts; i++)
		count += m->parts[i]->n_streams;
	names = calloc(count + m->n_parts, sizeof(*names));
	if (!names)
		return err_num(err, ENOMEM, "names of streams");
	for (count = 0, i = 0; i < m->n_parts; i++)
		for (k = 0; k < m->parts[i]->n_streams; k++)
			names[count++] = m->parts[i]->streams[k]->name;
	r = check_unique(names, count, "stream", err);
	if (r < 0)
		return r;
	for (i = 0; i < m->n_parts; i++)
		names[i] = m->parts[i]->node;
	return check_unique(names, m->n_parts, "node", err);
}

static int check_parts(const ManifestRecord *m, struct err *err)
{
	size_t i, k;
	int r;

	if (!m->n_parts || m->n_parts > MANIFEST_MAX_PARTS)
		return err_set(err, -EBADMSG, "%zu parts", m->n_parts);
	for (i = 0; i < m->n_parts; i++) {
		const PartEntry *p = m->parts[i];

		if (!*p->node || !stream_text_ok(p->node))
			return err_set(err, -EBADMSG, "part %zu: no node", i);
		if (!p->n_streams || p->n_streams > PART_MAX_STREAMS)
			return err_set(err, -EBADMSG, "%s: %zu streams",
				       p->node, p->n_streams);
		for (k = 0; k < p->n_streams; k++) {
			r = check_stream(p->streams[k], k == 0, err);
			if (r < 0)
				return err_wrap(err, r, "%s: stream %zu",
						p->node, k);
		}
	}
	r = check_borrowed(m, err);
	return r < 0 ? r : check_names(m, err);
}

static int check_manifest(const ManifestRecord *m, struct err *err)
{
	size_t i;

	if (m->format != IMAGE_FORMAT)
		return err_set(err, -ENOTSUP,
			       "format %u, this jobcr knows %u: made by jobcr "
			       "%.64s",
			       m->format, IMAGE_FORMAT, m->jobcr_version);
	for (i = 0; i < m->n_features; i++)
		if (!is_known(m->features[i]))
			return err_set(err, -ENOTSUP,
				       "needs feature '%.64s': made by jobcr "
				       "%.64s",
				       m->features[i], m->jobcr_version);
	if (!m->generation || m->generation > GENERATION_MAX)
		return err_set(err, -EBADMSG, "generation %u", m->generation);
	if (!*m->job_id || !stream_text_ok(m->job_id) ||
	    !stream_text_ok(m->cluster) || !stream_text_ok(m->cause) ||
	    !stream_text_ok(m->jobcr_version))
		return err_set(err, -EBADMSG, "job id, cluster or cause");
	return check_parts(m, err);
}

/* Behind it is nothing, or its seal (snapshot/seal.h). */
static int check_rest(const uint8_t *data, size_t len, size_t pos,
		      struct err *err)
{
	struct img_record rec;
	ProtobufCMessage *msg;
	int r = img_next(data, len, &pos, &rec, err);

	if (r <= 0)
		return r;
	if (rec.tag != TAG_SEAL)
		return err_set(err, -EBADMSG, "what is behind it is no seal");
	if (pos != len)
		return err_set(err, -EBADMSG, "%zu bytes too many at its end",
			       len - pos);
	r = img_unpack(&rec, &seal_record__descriptor, &msg, err);
	if (r == 0)
		protobuf_c_message_free_unpacked(msg, NULL);
	return r;
}

int snapshot_manifest_unpack(const uint8_t *data, size_t len,
			     ManifestRecord **ret, struct err *err)
{
	struct img_record rec;
	ProtobufCMessage *msg;
	size_t pos = 0;
	int r = img_next(data, len, &pos, &rec, err);

	if (r < 0)
		return r;
	if (r == 0 || rec.tag != TAG_MANIFEST)
		return err_set(err, -EBADMSG, "it holds no manifest record");
	r = check_rest(data, len, pos, err);
	if (r < 0)
		return r;
	r = img_unpack(&rec, &manifest_record__descriptor, &msg, err);
	if (r < 0)
		return r;
	r = check_manifest((ManifestRecord *)msg, err);
	if (r < 0) {
		protobuf_c_message_free_unpacked(msg, NULL);
		return r;
	}
	*ret = (ManifestRecord *)msg;
	return 0;
}

int snapshot_manifest(int dir_fd, const struct user_id *user,
		      ManifestRecord **ret, struct err *err)
{
	auto_free uint8_t *data = NULL;
	size_t len;
	int r = stream_load(dir_fd, user, "manifest", 0,
			    MANIFEST_FILE_MAX, &data, &len, err);

	if (r < 0)
		return r;
	r = snapshot_manifest_unpack(data, len, ret, err);
	return r < 0 ? err_wrap(err, r, "manifest") : 0;
}

struct buffer {
	uint8_t *data;
	size_t len;
};

static int keep(void *arg, const void *data, size_t len, struct err *err)
{
	struct buffer *b = arg;

	b->data = malloc(len);
	if (!b->data)
		return err_num(err, ENOMEM, "%zu bytes", len);
	memcpy(b->data, data, len);
	b->len = len;
	return 0;
}

int snapshot_manifest_pack(const ManifestRecord *m, uint8_t **ret,
			   size_t *ret_len, struct err *err)
{
	struct buffer b = { 0 };
	struct img_sink sink = { .write = keep, .arg = &b };
	int r;

	if (!protobuf_c_message_check(&m->base))
		return err_set(err, -EINVAL, "manifest: a field is not set");
	r = check_manifest(m, err);
	if (r == 0)
		r = img_put(&sink, TAG_MANIFEST, &m->base, err);
	if (r < 0)
		return err_wrap(err, r, "manifest");
	*ret = b.data;
	*ret_len = b.len;
	return 0;
}

int snapshot_check_identity(const ManifestRecord *m, const char *job_id,
			    uint32_t generation, struct err *err)
{
	if (strcmp(m->job_id, job_id) != 0)
		return err_set(err, -EBADMSG,
			       "manifest: it is of job %.64s, not of %.64s",
			       m->job_id, job_id);
	if (generation && m->generation != generation)
		return err_set(err, -EBADMSG,
			       "manifest: it is of generation %u, not of %u",
			       m->generation, generation);
	return 0;
}
