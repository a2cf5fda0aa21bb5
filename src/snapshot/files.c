/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/tags.h"
#include "snapshot/output.h"
#include "snapshot/snapshot.h"

static int add(struct snapshot_files *f, const char *name, uint64_t length,
	       struct err *err)
{
	struct snapshot_file *file;

	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 16;

		file = reallocarray(f->list, room, sizeof(*file));
		if (!file)
			return err_num(err, ENOMEM, "names of files");
		f->list = file;
		f->room = room;
	}
	file = &f->list[f->count++];
	(void)snprintf(file->name, sizeof(file->name), "%s", name);
	file->length = length;
	return 0;
}

static int compare(const void *a, const void *b, void *list)
{
	const struct snapshot_file *files = list;

	return strcmp(files[*(const size_t *)a].name,
		      files[*(const size_t *)b].name);
}

/* Names of streams are known to be unique, those of copies are not. */
static int sort(struct snapshot_files *f, struct err *err)
{
	f->by_name = calloc(f->count + 1, sizeof(*f->by_name));
	if (!f->by_name)
		return err_num(err, ENOMEM, "names of files");
	for (size_t i = 0; i < f->count; i++)
		f->by_name[i] = i;
	qsort_r(f->by_name, f->count, sizeof(*f->by_name), compare, f->list);
	for (size_t i = 1; i < f->count; i++)
		if (!compare(&f->by_name[i - 1], &f->by_name[i], f->list))
			return err_set(err, -EBADMSG, "%s: is there twice",
				       f->list[f->by_name[i]].name);
	return 0;
}

const struct snapshot_file *snapshot_find_file(const struct snapshot_files *f,
					       const char *name)
{
	size_t low = 0, high = f->count;

	while (low < high) {
		size_t at = low + (high - low) / 2;
		const struct snapshot_file *file = &f->list[f->by_name[at]];
		int c = strcmp(name, file->name);

		if (c == 0)
			return file;
		if (c < 0)
			high = at;
		else
			low = at + 1;
	}
	return NULL;
}

void snapshot_files_done(struct snapshot_files *f)
{
	free(f->list);
	free(f->by_name);
	*f = (struct snapshot_files){ 0 };
}

/* Sorted, and the caller's; or a failure, and nobody's. */
static int finish(int r, struct snapshot_files *f, struct snapshot_files *ret,
		  struct err *err)
{
	if (r == 0)
		r = sort(f, err);
	if (r < 0)
		snapshot_files_done(f);
	else
		*ret = *f;
	return r;
}

static int add_metas(const ManifestRecord *m, struct snapshot_files *f,
		     struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < m->n_parts && r == 0; i++)
		r = add(f, m->parts[i]->streams[0]->name,
			m->parts[i]->streams[0]->length, err);
	return r;
}

static int add_pages(const ManifestRecord *m, struct snapshot_files *f,
		     struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < m->n_parts; i++)
		for (size_t k = 1; k < m->parts[i]->n_streams && r == 0; k++)
			r = add(f, m->parts[i]->streams[k]->name,
				m->parts[i]->streams[k]->length, err);
	return r;
}

static int add_output(const OutputRecord *rec, struct snapshot_files *f,
		      struct err *err)
{
	int r = output_check(rec, err);

	for (size_t i = 0; r == 0 && i < rec->n_pieces; i++)
		r = add(f, rec->pieces[i]->name, rec->pieces[i]->length, err);
	return r;
}

static int add_outputs(int dir_fd, const struct user_id *user,
		       const PartEntry *part, struct snapshot_files *f,
		       struct err *err)
{
	struct meta meta = { 0 };
	int r = snapshot_meta(dir_fd, user, part, &meta, err);

	for (size_t i = 0; r == 0 && i < meta.count; i++)
		if (meta.entries[i].tag == TAG_OUTPUT)
			r = add_output(
				(const OutputRecord *)meta.entries[i].msg, f,
				err);
	meta_done(&meta);
	return r;
}

int snapshot_meta_files(const ManifestRecord *m, struct snapshot_files *ret,
			struct err *err)
{
	struct snapshot_files f = { 0 };

	return finish(add_metas(m, &f, err), &f, ret, err);
}

int snapshot_all_files(int dir_fd, const struct user_id *user,
		       const ManifestRecord *m, struct snapshot_files *ret,
		       struct err *err)
{
	struct snapshot_files f = { 0 };
	int r = add_metas(m, &f, err);

	if (r == 0)
		r = add_pages(m, &f, err);
	for (size_t i = 0; i < m->n_parts && r == 0; i++)
		r = add_outputs(dir_fd, user, m->parts[i], &f, err);
	return finish(r, &f, ret, err);
}
