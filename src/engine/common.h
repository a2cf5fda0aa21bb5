/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_COMMON_H
#define JOBCR_ENGINE_COMMON_H

#include <stddef.h>

#include "engine/search.h"
#include "util/err.h"

/*
 * What one has in swap may be a page that another has in memory, of which
 * nothing tells that it is not alone: common for one is common for all.
 */
int common_spread(struct source *sources, size_t count, struct err *err);

#endif
