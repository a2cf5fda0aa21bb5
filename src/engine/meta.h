/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_META_H
#define JOBCR_ENGINE_META_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/freeze.h"
#include "images/record.h"
#include "snapshot/snapshot.h"
#include "storage/writer.h"

/* The meta stream while it is written: records go to sink. */
struct meta_stream {
	struct img_sink sink; /* points into this struct: do not move it */
	struct writer *writer;
	struct digest *digest;
	uint32_t stream;
	uint32_t records;
};

/* The stream is open in the writer, which is borrowed. */
int meta_stream_init(struct meta_stream *m, struct writer *writer,
		     uint32_t stream, struct err *err);
void meta_stream_done(struct meta_stream *m);

/* First record: facts about the node and the cut. */
int meta_put_part(struct meta_stream *m, const struct checkpoint_args *args,
		  const struct frozen_tree *tree, struct err *err);

/* Last record; *ret_digest is of the whole stream. */
int meta_put_end(struct meta_stream *m, uint64_t page_bytes, uint32_t extents,
		 uint8_t ret_digest[DIGEST_BYTES], struct err *err);

/* One stream as the manifest names it. */
struct meta_file {
	const char *name;
	uint64_t length;
	const uint8_t *digest; /* NULL: none */
	uint32_t borrowed_from; /* 0: its own */
};

/*
 * The manifest of a snapshot of one part, framed; owned by the caller.
 * uprobes: breakpoints may be in its text.  facts: frozen_ns and bytes.
 */
int manifest_make(const struct checkpoint_args *args, bool uprobes,
		  const struct meta_file *files, size_t count,
		  const struct checkpoint_result *facts, uint8_t **ret,
		  size_t *ret_len, struct err *err);

#endif
