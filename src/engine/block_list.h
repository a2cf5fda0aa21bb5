/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_BLOCK_LIST_H
#define JOBCR_ENGINE_BLOCK_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "images/mm.pb-c.h"
#include "images/record.h"
#include "snapshot/pack.h"
#include "util/err.h"

/* The blocks of one page stream as they are written. */
struct block_list {
	Block *blocks;
	size_t count, room;
	uint64_t length; /* unpacked */
	bool packed;     /* one of them is */
};

/*
 * Next in the stream: bytes of pages, which were packed as said; *ret_at:
 * unpacked bytes before it.
 */
int block_list_add(struct block_list *l, uint32_t bytes,
		   const struct packed *packed, uint64_t hash, uint64_t *ret_at,
		   struct err *err);

/* Say so in the meta stream, unless the stream lies as it is. */
int block_list_put(const struct block_list *l, uint32_t stream,
		   const struct img_sink *meta, struct err *err);

void block_list_done(struct block_list *l);

#endif
