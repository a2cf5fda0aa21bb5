/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_DIRECTORY_H
#define JOBCR_RESOURCE_DIRECTORY_H

#include "resource/resource.h"

/*
 * Note the directories on the way to path that are on a file system of the
 * node and belong to the job's user, each once.  A path that ends in '/' is
 * itself one.
 */
int directories_put(const struct dump_ctx *ctx, const struct task_view *task,
		    const char *path, struct err *err);

#endif
