/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_BIRTHS_H
#define JOBCR_ENGINE_BIRTHS_H

#include "engine/reading.h"

/*
 * What processes have at birth is read before all else, if it is little: who
 * asks for it when they are built would wait behind what is read ahead.
 */
struct births;

#define BIRTHS_BYTES (8ull << 20)

/*
 * Returns when it is read.  args is that of a reading but for settle; of
 * its pieces a copy is kept.  *ret is NULL where there is nothing, or too much.
 */
int births_read(const struct reading_args *args, struct births **ret,
		struct err *err);

/* What was read there, unchecked; NULL: it was not. */
const uint8_t *births_find(const struct births *b,
			   const struct read_piece *piece);

void births_free(struct births *b); /* NULL too */

#endif
