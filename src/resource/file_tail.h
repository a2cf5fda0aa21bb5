/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_FILE_TAIL_H
#define JOBCR_RESOURCE_FILE_TAIL_H

#include "images/files.pb-c.h"
#include "resource/resource.h"

/*
 * Files that the job writes, and that changed after the cut: what is done is
 * up to ctx->files.  A helper of res_file, no resource itself.
 */

/* While it can still be refused; fd is the file at its path now. */
int file_tail_check(const struct restore_ctx *ctx, const FileRecord *rec,
		    int fd, struct err *err);

/*
 * Right before the job goes on, when nothing can be damaged any more: cut the
 * file to its length at the snapshot.  What is behind it is kept as
 * PATH.jobcr-GENERATION (or .1 and so on after that), with the rights of the
 * owner, unless the file is an output of the step.
 */
int file_tail_cut(const struct restore_ctx *ctx, const FileRecord *rec, int fd,
		  struct err *err);

#endif
