/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_COPY_LINK_H
#define JOBCR_SNAPSHOT_COPY_LINK_H

#include <stdbool.h>

#include "snapshot/copy.h"
#include "snapshot/files.h"

/*
 * What a generation that is copied has in common with older ones beside the
 * copy: streams that get another name there instead of being written again.
 *
 * A number is never given twice: what has a stream's name there, or lent it,
 * was written as what it is here.  Whether it still is, is read as in
 * snapshot/reread.h, or damage to one file would get into every generation to
 * come, while what it was copied from is whole.
 */
struct copy_links;

/* c, m: borrowed.  alive is called all the time while something is read. */
int copy_links_open(const struct copy *c, const ManifestRecord *m,
		    void (*alive)(void *arg), void *arg,
		    struct copy_links **ret, struct err *err);

/*
 * *ret false: it is to be copied.  c->damaged has heard of it where that is
 * since an older generation has it, but not as it was.  The error is of what is
 * copied, as for all of snapshot_copy.
 */
int copy_links_try(struct copy_links *l, const struct snapshot_file *f,
		   bool *ret, struct err *err);

void copy_links_free(struct copy_links *l); /* NULL too */

#endif
