/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_COW_H
#define JOBCR_SNAPSHOT_COW_H

#include "snapshot/extents.h"

/*
 * CowRecords: within mappings of both, of whole pages, told once, and of
 * pages whose contents are the other's and nobody else's.  Who they speak of
 * has been checked before.  list: all extents of the part, in any order.
 */
int cow_check(const struct meta *meta, const struct extent_list *list,
	      struct err *err);

/*
 * Append to list what pid (0: everyone) has of others, as its own.  list: all extents of
 * the part in the order of the records.
 */
int cow_resolve(const struct meta *meta, int32_t pid, struct extent_list *list,
		struct err *err);

#endif
