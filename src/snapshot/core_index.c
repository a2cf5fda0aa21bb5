/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "images/files.pb-c.h"
#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "snapshot/core_parts.h"

static uint32_t number_of(uint32_t tag, const void *msg)
{
	switch (tag) {
	case TAG_MM:
		return (uint32_t)((const MmRecord *)msg)->pid;
	case TAG_REGS:
		return (uint32_t)((const RegsRecord *)msg)->tid;
	case TAG_CREDS:
		return (uint32_t)((const CredsRecord *)msg)->tid;
	case TAG_SIGQUEUE:
		return (uint32_t)((const SigqueueRecord *)msg)->tid;
	case TAG_FILE:
		return ((const FileRecord *)msg)->open->object;
	default:
		return 0;
	}
}

static int by_key(const void *a, const void *b)
{
	const struct core_key *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

int core_index(struct core_source *src, struct err *err)
{
	const struct meta *meta = src->meta;

	src->index = calloc(meta->count ? meta->count : 1, sizeof(*src->index));
	if (!src->index)
		return err_num(err, ENOMEM, "%zu records", meta->count);
	for (size_t i = 0; i < meta->count; i++) {
		const struct meta_entry *e = &meta->entries[i];
		uint32_t number = number_of(e->tag, e->msg);

		if (number)
			src->index[src->nindex++] =
				(struct core_key){ e->tag, number, e->msg };
	}
	qsort(src->index, src->nindex, sizeof(*src->index), by_key);
	return 0;
}

const struct core_key *core_first(const struct core_source *src, uint32_t tag,
				  uint32_t number)
{
	const struct core_key key = { tag, number, NULL };
	size_t low = 0, high = src->nindex;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_key(&src->index[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < src->nindex && by_key(&src->index[low], &key) == 0
		       ? &src->index[low]
		       : NULL;
}

const struct core_key *core_next(const struct core_source *src,
				 const struct core_key *key)
{
	return key + 1 < src->index + src->nindex && by_key(key, key + 1) == 0
		       ? key + 1
		       : NULL;
}

const void *core_find(const struct core_source *src, uint32_t tag,
		      uint32_t number)
{
	const struct core_key *found = core_first(src, tag, number);

	return found ? found->msg : NULL;
}

const ProtobufCBinaryData *core_file_name(const struct core_source *src,
					  const VmaRecord *vma)
{
	/* Other objects have other records. */
	const FileRecord *file = core_find(src, TAG_FILE, vma->object);

	return file ? &file->path : NULL;
}
