// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/tags.h"
#include "resource/file_image.h"
#include "snapshot/output.h"
#include "storage/store.h"
#include "util/cleanup.h"

#define OUTPUTS_MAX  2
#define HURRY_BYTES  (16ull << 20)
#define PREFIX_BYTES 320

struct output {
	const char *path;
	int fd;
	struct stat at_cut;
	struct err err; /* why it is not kept; code 0: it is */
};

struct outputs {
	const struct checkpoint_args *args;
	struct output list[OUTPUTS_MAX];
	size_t count;
	int old_fd; /* the generation that has copies, with its records */
	struct meta old;
};

static void open_output(struct output *o)
{
	o->fd = open(o->path,
		     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (o->fd < 0)
		(void)err_sys(&o->err, "open it for reading");
}

/* Without it all is copied. */
static void find_old(struct outputs *o)
{
	const struct checkpoint_args *args = o->args;
	ManifestRecord *m = NULL;
	struct err unused;
	uint32_t number;
	int r = store_newest(args->job_fd, args->owner, &number, &unused);

	if (r == 0)
		r = store_open(args->job_fd, number, args->owner, &o->old_fd,
			       &unused);
	if (r == 0)
		r = snapshot_manifest(o->old_fd, args->owner, &m, &unused);
	if (r < 0)
		return;
	(void)snapshot_meta(o->old_fd, args->owner, m->parts[0], &o->old,
			    &unused);
	manifest_record__free_unpacked(m, NULL);
}

static const OutputRecord *old_record(const struct outputs *o, const char *path)
{
	for (size_t i = 0; i < o->old.count; i++) {
		const OutputRecord *rec =
			(const OutputRecord *)o->old.entries[i].msg;
		struct err unused;

		if (o->old.entries[i].tag == TAG_OUTPUT &&
		    rec->path.len == strlen(path) &&
		    !memcmp(rec->path.data, path, rec->path.len) &&
		    output_check(rec, &unused) == 0)
			return rec;
	}
	return NULL;
}

struct outputs *outputs_new(const struct checkpoint_args *args)
{
	struct outputs *o;
	struct err unused;
	size_t i;

	if (!args->keep_output || args->job_fd < 0 || !args->stdio)
		return NULL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->args = args;
	o->old_fd = -1;
	/* What travels with the snapshot anyway needs no copy. */
	for (i = 0; args->stdio[i] && o->count < OUTPUTS_MAX; i++)
		if (!file_path_in(args->carry, args->stdio[i]))
			o->list[o->count++].path = args->stdio[i];
	for (i = 0; i < o->count; i++)
		o->list[i].fd = -1;
	find_old(o);
	if (as_user(args->owner, &unused) < 0) {
		outputs_free(o);
		return NULL;
	}
	for (i = 0; i < o->count; i++)
		open_output(&o->list[i]);
	as_root();
	return o;
}

/* One that was replaced since is not what the job's path leads to. */
static void look_at_cut(struct output *o)
{
	struct stat there;

	if (o->err.code)
		return;
	if (fstat(o->fd, &o->at_cut) < 0)
		(void)err_sys(&o->err, "fstat");
	else if (fstatat(AT_FDCWD, o->path, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
		 there.st_dev != o->at_cut.st_dev ||
		 there.st_ino != o->at_cut.st_ino)
		(void)err_set(&o->err, -ESTALE, "another file was put there");
}

void outputs_cut(struct outputs *o)
{
	struct err unused;

	if (!o || as_user(o->args->owner, &unused) < 0)
		return;
	for (size_t i = 0; i < o->count; i++)
		look_at_cut(&o->list[i]);
	as_root();
}

static int check(const struct outputs *all, const struct output *o, bool hurry,
		 struct err *err)
{
	uint64_t size = (uint64_t)o->at_cut.st_size;

	if (!S_ISREG(o->at_cut.st_mode))
		return err_set(err, -ESTALE, "it is no regular file any more");
	if (size > all->args->keep_output)
		return err_set(err, -EFBIG,
			       "it is longer than %llu bytes (KeepOutput)",
			       (unsigned long long)all->args->keep_output);
	if (hurry && size > HURRY_BYTES)
		return err_set(err, -EFBIG,
			       "it is longer than %llu bytes, and the job "
			       "could not be pinned",
			       HURRY_BYTES);
	return 0;
}

static int copy(const struct outputs *all, size_t i, OutputRecord *rec,
		struct err *err)
{
	const struct output *o = &all->list[i];
	const struct output_copy old = { .dir_fd = all->old_fd,
					 .rec = old_record(all, o->path) };
	char prefix[PREFIX_BYTES];

	(void)snprintf(prefix, sizeof(prefix), "%s.output.%zu", all->args->node,
		       i);
	rec->path.data = (uint8_t *)o->path;
	rec->path.len = strlen(o->path);
	rec->size = (uint64_t)o->at_cut.st_size;
	rec->mode = o->at_cut.st_mode & 0777u;
	return output_keep(o->fd, all->args->dir_fd, prefix, &old, rec, err);
}

static void free_pieces(OutputRecord *rec)
{
	for (size_t i = 0; i < rec->n_pieces; i++)
		output_piece__free_unpacked(rec->pieces[i], NULL);
	free(rec->pieces);
}

static int keep_one(struct outputs *all, size_t i, struct meta_stream *meta,
		    bool hurry, struct err *err)
{
	OutputRecord rec = OUTPUT_RECORD__INIT;
	struct output *o = &all->list[i];
	int r = 0;

	if (o->err.code)
		return 0;
	if (as_user(all->args->owner, &o->err) < 0)
		return 0;
	if (check(all, o, hurry, &o->err) == 0)
		(void)copy(all, i, &rec, &o->err);
	as_root();
	if (!o->err.code)
		r = img_put(&meta->sink, TAG_OUTPUT, &rec.base, err);
	free_pieces(&rec);
	return r;
}

int outputs_keep(struct outputs *o, struct meta_stream *meta, bool hurry,
		 char *ret_not_kept, size_t room, struct err *err)
{
	int r = 0;

	*ret_not_kept = '\0';
	for (size_t i = 0; o && i < o->count && r == 0; i++) {
		r = keep_one(o, i, meta, hurry, err);
		if (o->list[i].err.code && !*ret_not_kept)
			(void)snprintf(ret_not_kept, room,
				       "output is not kept: %s: %s",
				       o->list[i].path, o->list[i].err.text);
	}
	return r;
}

void outputs_free(struct outputs *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->count; i++)
		if (o->list[i].fd >= 0)
			close(o->list[i].fd);
	if (o->old_fd >= 0)
		close(o->old_fd);
	meta_done(&o->old);
	free(o);
}
