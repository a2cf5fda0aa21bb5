/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_FILE_IMAGE_H
#define JOBCR_RESOURCE_FILE_IMAGE_H

#include "images/files.pb-c.h"
#include "resource/resource.h"

/*
 * Files with a name and files that lost it are saved alike.  A helper of
 * the resources for both, none itself.
 */

/* Not a file that goes on existing: why, in words; NULL when it is one. */
const char *file_system_refused(const struct fd_view *fd);

/* Has no name any more, or will lose it when the job ends (NFS). */
bool file_is_unlinked(const struct fd_view *fd);

/*
 * Its path without the mark of deleted files, owned by the caller.
 * *ret_there: this path leads to this very file for the task.
 */
int file_find(const struct fd_view *fd, char **ret_path, bool *ret_there,
	      struct err *err);

/* Open a path as the task sees it. */
int file_open_for_task(const struct task_view *task, const char *path,
		       int flags, struct err *err);

/* Refuse a file of huge pages that a process outside of the job maps. */
void file_check_outside(const struct dump_ctx *ctx, const struct fd_view *fd,
			struct refusals *no);

/* The file once more for reading, in a description of our own. */
int file_open_reader(const struct fd_view *fd, struct err *err);

/* Is path one of, or below one of, these? */
bool file_path_in(const char *const *list, const char *path);

/* SHA-256 of what fd reads from its start. */
int file_digest(int fd, uint64_t size, uint8_t *ret, struct err *err);

/*
 * Shared memory with a name (shm_open, sem_open): a file of the job's owner in
 * /dev/shm, which is the node's.  It travels and gets its name again.
 */
bool file_is_named_memory(const struct dump_ctx *ctx, const struct fd_view *fd);

/*
 * What tells such a file from another one at its path: where it was first
 * made, which follows it through restores.  Owned by the caller.
 */
int file_origin(int fd, char **ret, struct err *err);
/* Of a file made again; where the kernel keeps no such note it is lost. */
void file_note_origin(int fd, const char *origin);

/* Write the record. */
int file_put(const struct dump_ctx *ctx, const struct fd_view *fd,
	     const char *path, uint32_t ghost, struct err *err);

#endif
