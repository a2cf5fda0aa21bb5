/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_FILE_LOCK_H
#define JOBCR_RESOURCE_FILE_LOCK_H

#include "images/files.pb-c.h"
#include "resource/resource.h"

/*
 * Advisory locks on files: POSIX ones of processes, flock(2) and F_OFD_SETLK
 * ones and leases of open files.  A helper of the resources for files, none itself.
 */

/*
 * Refuse leases that are being broken, and such for writing: a checkpoint has
 * to open what was written, and would break them itself.  carried: the file is
 * made again, by somebody who has it open for writing.
 */
int file_lock_check(const struct fd_view *fd, bool carried, struct refusals *no,
		    struct err *err);

/* Fill rec->locks, for the caller to give back with file_lock_free. */
int file_lock_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
		   FileRecord *rec, struct err *err);
void file_lock_free(FileRecord *rec);

/* Locks of the open file; then, in a task that has it as fd, its own. */
int file_lock_restore(int fd, const FileRecord *rec, struct err *err);
int file_lock_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		   const FileRecord *rec, struct err *err);

#endif
