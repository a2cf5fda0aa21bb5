/* SPDX-License-Identifier: MIT */
#ifndef JOBCR_IMAGES_RECORD_H
#define JOBCR_IMAGES_RECORD_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Framed records: tag, length, CRC-32C over both and the body, body; all
 * little endian.  See jobcr-images(5).  No files here: bytes in, bytes out.
 */

/* Where framed bytes go; write returns 0 or a negative errno with err set. */
struct img_sink {
	int (*write)(void *arg, const void *data, size_t len, struct err *err);
	void *arg;
	uint32_t *records; /* counted here when not NULL */
};

/* Pack one message, frame it, hand it to the sink.  Too long: -EMSGSIZE. */
int img_put(const struct img_sink *out, uint32_t tag,
	    const ProtobufCMessage *msg, struct err *err);

struct img_record {
	uint32_t tag;
	uint32_t len;
	const uint8_t *body; /* borrowed from the buffer that was read */
};

/*
 * Take the record at *pos of a buffer and move *pos behind it.  Returns 1,
 * 0 at the exact end, or -EBADMSG with what is damaged and at which byte.
 * Its tag may be unknown.
 */
int img_next(const uint8_t *data, size_t len, size_t *pos,
	     struct img_record *ret, struct err *err);

/*
 * Unpack a record's body; -EBADMSG when it is not such a message, -ENOTSUP
 * when it has a field that only a newer jobcr knows.  The result is owned by
 * the caller: protobuf_c_message_free_unpacked.
 */
int img_unpack(const struct img_record *rec,
	       const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret,
	       struct err *err);

/* The name of a tag and the message type behind it; NULL when unknown. */
const char *img_tag_name(uint32_t tag);
const ProtobufCMessageDescriptor *img_tag_type(uint32_t tag);

/* All tags, one by one; 0 behind the last. */
uint32_t img_tag_at(size_t i);

#endif
