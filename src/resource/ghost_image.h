/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_GHOST_IMAGE_H
#define JOBCR_RESOURCE_GHOST_IMAGE_H

#include "resource/resource.h"

/*
 * Save the contents of a file, once for all who have it open; *ret_object is
 * their number.  linked: it has a name, or is another's.  A helper of the
 * resources for files, none itself.
 */
int ghost_put(const struct dump_ctx *ctx, const struct fd_view *fd,
	      const char *path, bool linked, uint32_t *ret_object,
	      struct err *err);

/* Refuse a file whose contents its user may not read. */
int ghost_check_contents(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct refusals *no, struct err *err);

#endif
