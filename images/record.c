/* SPDX-License-Identifier: MIT */
#include "images/record.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "images/limits.h"
#include "images/tags.h"
#include "util/cleanup.h"
#include "util/crc32c.h"

struct frame {
	uint32_t tag;
	uint32_t len;
	uint32_t crc; /* of the two words above and the body */
};

#define BUDGET_FACTOR 6u
#define BUDGET_LEAST  4096u

#define FRAME_SUMMED offsetof(struct frame, crc)

/* Only the manifest lists what grows with the number of nodes. */
static uint32_t record_limit(uint32_t tag)
{
	return tag == TAG_MANIFEST ? MANIFEST_MAX_BYTES : RECORD_MAX_BYTES;
}

static uint32_t frame_sum(const struct frame *f, const uint8_t *body,
			  size_t len)
{
	return crc32c(crc32c(0, f, FRAME_SUMMED), body, len);
}

int img_put(const struct img_sink *out, uint32_t tag,
	    const ProtobufCMessage *msg, struct err *err)
{
	const char *name = msg->descriptor->name;
	auto_free uint8_t *data = NULL;
	struct frame f;
	size_t len;
	int r;

	if (!protobuf_c_message_check(msg))
		return err_set(err, -EINVAL, "%s: a required field is not set",
			       name);
	len = protobuf_c_message_get_packed_size(msg);
	if (len > record_limit(tag))
		return err_set(err, -EMSGSIZE,
			       "%s: %zu bytes, a record holds %u", name, len,
			       record_limit(tag));
	data = malloc(sizeof(f) + len);
	if (!data)
		return err_num(err, ENOMEM, "%s", name);
	protobuf_c_message_pack(msg, data + sizeof(f));
	f.tag = htole32(tag);
	f.len = htole32((uint32_t)len);
	f.crc = htole32(frame_sum(&f, data + sizeof(f), len));
	memcpy(data, &f, sizeof(f));
	r = out->write(out->arg, data, sizeof(f) + len, err);
	if (r < 0)
		return err_wrap(err, r, "%s", name);
	if (out->records)
		(*out->records)++;
	return 0;
}

static int damaged(struct err *err, size_t at, uint32_t tag, const char *what)
{
	const char *name = img_tag_name(tag);

	return err_set(err, -EBADMSG, "record at byte %zu (%s): %s", at,
		       name ? name : "unknown tag", what);
}

int img_next(const uint8_t *data, size_t len, size_t *pos,
	     struct img_record *ret, struct err *err)
{
	size_t at = *pos, left = len - at;
	uint32_t tag, body;
	struct frame f;

	if (at == len)
		return 0;
	if (left < sizeof(f))
		return err_set(err, -EBADMSG,
			       "record at byte %zu: cut short, %zu bytes left",
			       at, left);
	memcpy(&f, data + at, sizeof(f));
	tag = le32toh(f.tag);
	body = le32toh(f.len);
	if (body > record_limit(tag))
		return damaged(err, at, tag, "its length is over the limit");
	if (body > left - sizeof(f))
		return damaged(err, at, tag, "it goes beyond the end");
	if (le32toh(f.crc) != frame_sum(&f, data + at + sizeof(f), body))
		return damaged(err, at, tag, "its checksum is wrong");
	ret->tag = tag;
	ret->len = body;
	ret->body = data + at + sizeof(f);
	*pos = at + sizeof(f) + body;
	return 1;
}

static int check_fields(const ProtobufCMessage *msg, struct err *err);

static int check_field(const ProtobufCMessage *msg,
		       const ProtobufCFieldDescriptor *field, struct err *err)
{
	const uint8_t *base = (const uint8_t *)msg;
	const void *at = base + field->offset;
	size_t count = 1, i;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		memcpy(&count, base + field->quantifier_offset, sizeof(count));
		at = *(void *const *)at;
	}
	for (i = 0; i < count; i++) {
		const ProtobufCMessage *sub =
			((const ProtobufCMessage *const *)at)[i];
		int r = sub ? check_fields(sub, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * A field that this version does not know holds state that it would lose:
 * such a record is refused like an unknown tag.
 */
static int check_fields(const ProtobufCMessage *msg, struct err *err)
{
	const ProtobufCMessageDescriptor *type = msg->descriptor;
	unsigned int i;
	int r;

	if (msg->n_unknown_fields)
		return err_set(err, -ENOTSUP,
			       "%s: field %u is unknown: made by a newer jobcr",
			       type->name, msg->unknown_fields[0].tag);
	for (i = 0; i < type->n_fields; i++) {
		if (type->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		r = check_field(msg, &type->fields[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * A message takes more memory than its bytes: about twice for extents, four
 * times for short numbers.  Lists of empty strings would take much more; no
 * writer makes them, and none may make a reader swap.
 */
struct budget {
	size_t left;
	bool exceeded;
};

static void *budget_alloc(void *data, size_t size)
{
	struct budget *b = data;

	if (size > b->left) {
		b->exceeded = true;
		return NULL;
	}
	b->left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *p)
{
	free(p);
}

int img_unpack(const struct img_record *rec,
	       const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret,
	       struct err *err)
{
	struct budget budget = {
		(size_t)rec->len * BUDGET_FACTOR + BUDGET_LEAST, false
	};
	ProtobufCAllocator allocator = { budget_alloc, budget_free, &budget };
	ProtobufCMessage *msg;
	int r;

	msg = protobuf_c_message_unpack(type, &allocator, rec->len, rec->body);
	if (!msg && budget.exceeded)
		return err_set(err, -EBADMSG,
			       "%s: takes far more memory than its %u bytes",
			       type->name, rec->len);
	if (!msg)
		return err_set(err, -EBADMSG, "it is no %s, or memory is short",
			       type->name);
	r = check_fields(msg, err);
	if (r < 0) {
		protobuf_c_message_free_unpacked(msg, NULL);
		return r;
	}
	*ret = msg;
	return 0;
}
