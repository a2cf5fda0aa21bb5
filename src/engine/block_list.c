/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/block_list.h"

#include <errno.h>
#include <stdlib.h>

#include "images/limits.h"
#include "images/tags.h"
#include "util/cleanup.h"

int block_list_add(struct block_list *l, uint32_t bytes,
		   const struct packed *packed, uint64_t hash, uint64_t *ret_at,
		   struct err *err)
{
	Block *block;

	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 256;
		Block *b = reallocarray(l->blocks, room, sizeof(*b));

		if (!b)
			return err_num(err, ENOMEM, "%zu blocks", room);
		l->blocks = b;
		l->room = room;
	}
	block = &l->blocks[l->count++];
	block__init(block);
	block->bytes = bytes;
	block->stored = packed->stored;
	block->codec = packed->codec;
	/* Of unpacked ones too: a reader takes memory by a record's length. */
	block->has_packed = block->has_hash = 1;
	block->packed = packed->packed;
	block->hash = hash;
	*ret_at = l->length;
	l->length += block->bytes;
	l->packed = l->packed || block->codec != CODEC_NONE;
	return 0;
}

int block_list_put(const struct block_list *l, uint32_t stream,
		   const struct img_sink *meta, struct err *err)
{
	auto_free Block **blocks = calloc(BLOCKS_PER_RECORD, sizeof(*blocks));
	BlocksRecord rec = BLOCKS_RECORD__INIT;
	int r = 0;

	if (!l->packed)
		return 0;
	if (!blocks)
		return err_num(err, ENOMEM, "blocks");
	rec.stream = stream;
	rec.blocks = blocks;
	for (size_t i = 0; i < l->count && r == 0; i += rec.n_blocks) {
		rec.n_blocks = l->count - i < BLOCKS_PER_RECORD
				       ? l->count - i
				       : BLOCKS_PER_RECORD;
		for (size_t k = 0; k < rec.n_blocks; k++)
			blocks[k] = &l->blocks[i + k];
		r = img_put(meta, TAG_BLOCKS, &rec.base, err);
	}
	return r;
}

void block_list_done(struct block_list *l)
{
	free(l->blocks);
	*l = (struct block_list){ 0 };
}
