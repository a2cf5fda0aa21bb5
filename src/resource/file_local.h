/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_FILE_LOCAL_H
#define JOBCR_RESOURCE_FILE_LOCAL_H

#include "images/files.pb-c.h"
#include "resource/resource.h"
#include "resource/restore.h"

/*
 * Files of the job's user on a file system that other nodes do not have: of
 * the node's memory, or below the paths that are local by the configuration.
 * They travel, and get their names again where nobody has these.  A helper of
 * the resources for files, none itself.
 */

/* Is path, of the file or directory that st tells, in such a place? */
bool file_place_is_local(const struct dump_ctx *ctx,
			 const struct task_view *task, const char *path,
			 int fd, const struct stat *st);

/* Do the contents of this file with a name travel for that reason? */
bool file_is_local(const struct dump_ctx *ctx, const struct fd_view *fd,
		   const char *path);

/* Refuse one that is larger than the configuration allows. */
void file_local_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const char *path, struct refusals *no);

/* What tells it from others at its path, and how the job uses it; the
 * origin is owned by the caller. */
int file_local_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
		    GhostRecord *rec, struct err *err);

enum file_local_verdict {
	FILE_LOCAL_MAKE, /* nothing is at its path (any more) */
	FILE_LOCAL_USE,  /* what is there stays */
	FILE_LOCAL_COPY, /* another is there: the job needs one of its own */
};

/*
 * What is to be done about a file at its path, here.  What the job has changed
 * there after the snapshot is put aside.  *ret_fd (O_PATH, -1 if there is
 * none): what is there, owned by the caller.
 */
int file_local_decide(const struct restore_ctx *ctx, const GhostRecord *rec,
		      const char *path, enum file_local_verdict *ret,
		      int *ret_fd, struct err *err);

/* As the user: path is PATH.jobcr-GENERATION from now on, and that is said. */
int file_local_aside(const struct restore_ctx *ctx, const char *path,
		     struct err *err);

/* Does this handle of contents stand for a file that was used as it is? */
bool file_local_used(const GhostRecord *rec, int handle);

#endif
