/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_OPEN_FILE_H
#define JOBCR_RESOURCE_OPEN_FILE_H

#include "images/files.pb-c.h"
#include "resource/resource.h"

/*
 * What every open file description has, whatever is behind it: status
 * flags, position, and who is told about its events.  A helper of the
 * resources for files, none itself.
 */

/* Refuse owners of F_SETOWN that are outside the tree. */
int open_file_check_owner(const struct dump_ctx *ctx, const struct fd_view *fd,
			  struct refusals *no, struct err *err);

/* And locks: only the records of files have room for them. */
int open_file_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		    struct refusals *no, struct err *err);

/* Fill an initialised message; it holds no pointers. */
int open_file_fill(const struct dump_ctx *ctx, const struct fd_view *fd,
		   OpenFile *ret, struct err *err);

/* Flags to open the same file again: nothing is created or cut. */
int open_file_flags(const OpenFile *open);

/*
 * A new description of what fd (borrowed) has open, with the recorded flags
 * and position.  O_PATH descriptors will do.  Returns it or an error.
 */
int open_file_again(int fd, const OpenFile *open, struct err *err);

/*
 * Open what lies at path, which the caller has looked at by O_PATH and found to
 * be what looked says.  Whatever may be there by now does not block, nor
 * become a terminal, nor is it returned.  Returns a descriptor or an error.
 */
int open_file_looked_at(const struct restore_ctx *ctx, const char *path,
			int flags, const struct stat *looked, struct err *err);

/* Status flags but O_ASYNC, then the position. */
int open_file_apply(int fd, const OpenFile *open, struct err *err);

/* In a task that holds it as fd: owner and signal, then O_ASYNC. */
int open_file_late(struct restore_ctx *ctx, struct restore_task *task, int fd,
		   const OpenFile *open, struct err *err);

/* In a task that holds it as fd: a lease for reading, if the user may. */
int open_file_lease(struct restore_ctx *ctx, struct restore_task *task, int fd,
		    const OpenFile *open, struct err *err);

/*
 * Which of the step's own descriptors this one is, seen at its holder: 0 to
 * 2, or -1 when it is none of them.
 */
int open_file_stdio(const struct dump_ctx *ctx, const struct fd_view *fd);

#endif
