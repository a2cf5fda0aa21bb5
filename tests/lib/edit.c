/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/part.pb-c.h"
#include "images/record.h"
#include "images/tags.h"
#include "snapshot/snapshot.h"
#include "util/cleanup.h"
#include "util/io.h"

struct edit {
	edit_fn record;
	void *arg;
};

struct bytes {
	uint8_t *data;
	size_t len;
};

static int append(void *arg, const void *data, size_t len, struct err *err)
{
	struct bytes *b = arg;
	uint8_t *more = realloc(b->data, b->len + len);

	if (!more)
		return err_set(err, -ENOMEM, "out of memory");
	memcpy(more + b->len, data, len);
	b->data = more;
	b->len += len;
	return 0;
}

static int put_file(int dir_fd, const char *name, const uint8_t *data,
		    size_t len, struct err *err)
{
	auto_close int fd =
		openat(dir_fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC);

	return fd < 0 ? err_sys(err, "%s", name)
		      : write_all(fd, data, len, err);
}

static int put_edited(const struct img_sink *sink, const struct edit *edit,
		      struct meta_entry *e, size_t *records, struct err *err)
{
	struct edit_more more = { 0 };
	int r;

	if (e->tag == TAG_PART_END)
		((PartEndRecord *)e->msg)->records = (uint32_t)*records;
	edit->record(edit->arg, e->tag, e->msg, &more);
	r = img_put(sink, e->tag, e->msg, err);
	if (r == 0 && more.tag)
		r = img_put(sink, more.tag, more.msg, err);
	*records += 1 + (more.tag != 0);
	return r;
}

/* The meta stream again, edited, and a manifest that fits it. */
static int rewrite(int dir_fd, const struct edit *edit, ManifestRecord *m,
		   const struct meta *meta, struct err *err)
{
	StreamEntry *stream = m->parts[0]->streams[0];
	struct bytes text = { 0 };
	const struct img_sink sink = { .write = append, .arg = &text };
	struct digest *digest = NULL;
	auto_free uint8_t *packed = NULL;
	size_t i, len = 0, records = 0;
	int r = 0;

	for (i = 0; i < meta->count && r == 0; i++)
		r = put_edited(&sink, edit, &meta->entries[i], &records, err);
	r = r < 0 ? r : digest_new(&digest, err);
	if (r == 0) {
		digest_add(digest, text.data, text.len);
		digest_end(digest, stream->digest.data);
		stream->length = text.len;
		r = put_file(dir_fd, stream->name, text.data, text.len, err);
	}
	digest_free(digest);
	r = r < 0 ? r : snapshot_manifest_pack(m, &packed, &len, err);
	r = r < 0 ? r : put_file(dir_fd, "manifest", packed, len, err);
	free(text.data);
	return r;
}

int snapshot_edit(const char *dir, edit_fn record, void *arg, struct err *err)
{
	auto_close int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct edit edit = { record, arg };
	ManifestRecord *m = NULL;
	struct meta meta = { 0 };
	int r = snapshot_manifest(dir_fd, NULL, &m, err);

	r = r < 0 ? r : snapshot_meta(dir_fd, NULL, m->parts[0], &meta, err);
	r = r < 0 ? r : rewrite(dir_fd, &edit, m, &meta, err);
	meta_done(&meta);
	if (m)
		manifest_record__free_unpacked(m, NULL);
	return r;
}
