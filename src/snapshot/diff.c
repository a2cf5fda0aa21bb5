/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "snapshot/diff_parts.h"

/* One side: its manifest, and the meta streams of all parts. */
struct side {
	ManifestRecord *m;
	struct meta *parts;
};

static void side_done(struct side *s)
{
	for (size_t i = 0; s->parts && i < s->m->n_parts; i++)
		meta_done(&s->parts[i]);
	free(s->parts);
	if (s->m)
		manifest_record__free_unpacked(s->m, NULL);
}

static int side_read(const struct diff_side *from, const struct user_id *user,
		     struct side *ret, struct err *err)
{
	int r = snapshot_manifest(from->dir_fd, user, &ret->m, err);

	if (r == 0) {
		ret->parts = calloc(ret->m->n_parts, sizeof(*ret->parts));
		if (!ret->parts)
			r = err_num(err, ENOMEM, "parts");
	}
	for (size_t i = 0; r == 0 && i < ret->m->n_parts; i++) {
		r = snapshot_meta(from->dir_fd, user, ret->m->parts[i],
				  &ret->parts[i], err);
		if (r == 0)
			r = snapshot_check_meta(ret->m->parts[i],
						&ret->parts[i], err);
	}
	return r < 0 ? err_wrap(err, r, "%s", from->name) : 0;
}

/* Nodes change from run to run: parts are compared in their order. */
static int find(const struct side *before, const struct side *after,
		struct diff *d, struct err *err)
{
	static const struct meta none;
	int r = 0;

	d->before = before->m;
	d->after = after->m;
	for (size_t i = 0;
	     r == 0 && (i < before->m->n_parts || i < after->m->n_parts); i++)
		r = diff_find(i < before->m->n_parts ? &before->parts[i]
						     : &none,
			      i < after->m->n_parts ? &after->parts[i] : &none,
			      d, err);
	return r;
}

int snapshot_diff(const struct diff_side *before, const struct diff_side *after,
		  const struct user_id *user, bool json, FILE *out,
		  struct err *err)
{
	struct side b = { 0 }, a = { 0 };
	struct diff d = { 0 };
	int r = side_read(before, user, &b, err);

	if (r == 0)
		r = side_read(after, user, &a, err);
	if (r == 0)
		r = find(&b, &a, &d, err);
	if (r == 0)
		r = diff_print(&d, before->name, after->name, json, out, err);
	diff_done(&d);
	side_done(&b);
	side_done(&a);
	return r;
}
