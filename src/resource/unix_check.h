/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UNIX_CHECK_H
#define JOBCR_RESOURCE_UNIX_CHECK_H

#include "resource/resource.h"

/* What of a Unix socket cannot be saved: check_file of the resource. */
int unix_check(const struct dump_ctx *ctx, const struct fd_view *fd,
	       struct refusals *no, struct err *err);

#endif
