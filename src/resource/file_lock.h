/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_FILE_LOCK_H
#define JOBCR_RESOURCE_FILE_LOCK_H

#include "images/files.pb-c.h"
#include "resource/resource.h"

/*
 * Advisory locks on files: POSIX ones of processes, flock(2) and F_OFD_SETLK
 * ones of open files.  A helper of the resources for files, none itself.
 */

/* Refuse leases, which the kernel may break while nobody listens. */
int file_lock_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		    struct refusals *no, struct err *err);

/* Fill rec->locks, for the caller to give back with file_lock_free. */
int file_lock_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
		   FileRecord *rec, struct err *err);
void file_lock_free(FileRecord *rec);

/* Locks of the open file; then, in a task that has it as fd, its own. */
int file_lock_restore(int fd, const FileRecord *rec, struct err *err);
int file_lock_late(struct restore_task *task, int fd, const FileRecord *rec,
		   struct err *err);

#endif
