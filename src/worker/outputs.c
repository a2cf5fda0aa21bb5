/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "worker/outputs.h"

#include <errno.h>

#include "images/part.pb-c.h"
#include "images/tags.h"
#include "operation/aside.h"
#include "snapshot/output.h"

int outputs_find(const struct work *w, int dir_fd, const ManifestRecord *m,
		 struct outputs_found *ret, struct err *err)
{
	int r = snapshot_meta(dir_fd, &w->owner, m->parts[0], &ret->meta, err);

	if (r < 0)
		return r;
	if (ret->meta.count && ret->meta.entries[0].tag == TAG_PART)
		return 0;
	meta_done(&ret->meta);
	return err_set(err, -EBADMSG, "no record of the node");
}

void outputs_done(struct outputs_found *o)
{
	meta_done(&o->meta);
}

static const PartRecord *part(const struct outputs_found *o)
{
	return (const PartRecord *)o->meta.entries[0].msg;
}

static int write_back(int dir_fd, const struct outputs_found *o,
		      uint64_t *ret_bytes, struct err *err)
{
	size_t i;
	int r = 0;

	*ret_bytes = 0;
	for (i = 0; i < o->meta.count && r == 0; i++) {
		const OutputRecord *rec =
			(const OutputRecord *)o->meta.entries[i].msg;
		bool done = false;

		if (o->meta.entries[i].tag != TAG_OUTPUT)
			continue;
		r = output_put_back(dir_fd, rec, &done, err);
		if (done)
			*ret_bytes += rec->size;
	}
	return r;
}

int outputs_put_back(const struct work *w, int dir_fd,
		     const struct outputs_found *o, uint64_t *ret_bytes,
		     struct err *err)
{
	const PartRecord *p = part(o);
	size_t i;
	int r = 0;

	for (i = 0; i < p->n_stdio_path && r == 0; i++)
		r = aside_take_back(p->stdio_path[i], w->req->job_id, &w->owner,
				    err);
	/* Some files (/proc/sys) ask who writes by other ids than theirs. */
	if (r == 0)
		r = count_as_user(&w->owner, err);
	if (r < 0)
		return r;
	r = write_back(dir_fd, o, ret_bytes, err);
	count_as_root();
	return r;
}

void outputs_put_aside(const struct work *w, const struct outputs_found *o)
{
	struct err unused;
	size_t i;

	for (i = 0; o->meta.count && i < part(o)->n_stdio_path; i++)
		(void)aside_put(part(o)->stdio_path[i], w->req->job_id,
				&w->owner, &unused);
}
