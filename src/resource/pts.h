/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_PTS_H
#define JOBCR_RESOURCE_PTS_H

#include "resource/resource.h"

/* Which pseudo terminal is meant.  A helper of the resources for them. */

/* By a number as in /proc/PID/stat; false: it is none. */
bool pts_by_number(uint32_t tty_nr, uint32_t *ret_index);

/*
 * Of an open slave, by whatever name; *ret_hung_up: its master was closed.
 * false: it is none of the job's own devpts.
 */
bool pts_by_file(const struct dump_ctx *ctx, const struct fd_view *fd,
		 uint32_t *ret_index, bool *ret_hung_up);

/* Of an open master; false: it is none of the job's own devpts. */
bool pts_by_master(const struct dump_ctx *ctx, int master, uint32_t *ret_index,
		   struct stat *ret);

/* The number of the object. */
int pts_object(const struct dump_ctx *ctx, uint32_t index, uint32_t *ret,
	       bool *ret_new, struct err *err);

#endif
