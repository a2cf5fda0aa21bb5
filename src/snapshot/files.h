/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_FILES_H
#define JOBCR_SNAPSHOT_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "images/manifest.pb-c.h"
#include "storage/as_user.h"
#include "util/err.h"

/* A file of a generation, other than its manifest. */
struct snapshot_file {
	char name[256];
	uint64_t length;
};

struct snapshot_files {
	struct snapshot_file *list;
	size_t count, room;
	size_t *by_name; /* indices */
};
void snapshot_files_done(struct snapshot_files *f);

/* The one of that name, or NULL. */
const struct snapshot_file *snapshot_find_file(const struct snapshot_files *f,
					       const char *name);

/* The meta streams: what must be there to know of the others. */
int snapshot_meta_files(const ManifestRecord *m, struct snapshot_files *ret,
			struct err *err);

/*
 * All of them, the meta streams first; those are read for it.  -EBADMSG: one
 * is there twice.  Owned by the caller: both.
 */
int snapshot_all_files(int dir_fd, const struct user_id *user,
		       const ManifestRecord *m, struct snapshot_files *ret,
		       struct err *err);

#endif
