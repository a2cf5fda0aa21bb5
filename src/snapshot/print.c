/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <json.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/print.h"
#include "util/cleanup.h"
#include "util/plain.h"

/*
 * Any record for people and for programs, from protobuf-c's own description
 * of it: a new kind of record needs no line here.
 */

#define BYTES_SHOWN 64u

/* Where one value of a field is, and of what kind it is. */
struct value {
	const ProtobufCFieldDescriptor *field;
	const void *at;
};

static size_t element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* How many values a field has in this message: none when it is not set. */
static size_t field_values(const ProtobufCMessage *msg,
			   const ProtobufCFieldDescriptor *f,
			   struct value *ret_first)
{
	const uint8_t *base = (const uint8_t *)msg;
	const void *at = base + f->offset;
	size_t count = 1;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		memcpy(&count, base + f->quantifier_offset, sizeof(count));
		at = *(void *const *)at;
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE ||
		   f->type == PROTOBUF_C_TYPE_STRING) {
		count = *(void *const *)at != NULL;
	} else if (f->label == PROTOBUF_C_LABEL_OPTIONAL) {
		count = *(const protobuf_c_boolean *)(base +
						      f->quantifier_offset) !=
			0;
	}
	ret_first->field = f;
	ret_first->at = at;
	return count;
}

static struct value next_value(const struct value *v)
{
	return (struct value){ v->field, (const uint8_t *)v->at +
						 element_size(v->field->type) };
}

/* Signed, or unsigned; false when it is not a number. */
static bool as_number(const struct value *v, bool *ret_signed, uint64_t *ret)
{
	*ret_signed = false;
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		*ret_signed = true;
		*ret = (uint64_t)(int64_t) * (const int32_t *)v->at;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		*ret_signed = true;
		*ret = *(const uint64_t *)v->at;
		return true;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		*ret = *(const uint32_t *)v->at;
		return true;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		*ret = *(const uint64_t *)v->at;
		return true;
	default:
		return false;
	}
}

static const char *enum_name(const struct value *v)
{
	const ProtobufCEnumValue *e = protobuf_c_enum_descriptor_get_value(
		v->field->descriptor, *(const int *)v->at);

	return e ? e->name : NULL;
}

static bool is_text(const uint8_t *p, size_t len)
{
	return plain_is((const char *)p, len);
}

static void bytes_of(const struct value *v, const uint8_t **ret, size_t *len)
{
	const ProtobufCBinaryData *b = v->at;

	if (v->field->type == PROTOBUF_C_TYPE_STRING) {
		*ret = *(const uint8_t *const *)v->at;
		*len = strlen((const char *)*ret);
	} else {
		*ret = b->data;
		*len = b->len;
	}
}

/* Addresses, masks and hashes; not what people count in. */
static bool in_hex(const ProtobufCFieldDescriptor *f)
{
	static const char *const counted[] = { "size",  "length", "count",
					       "ticks", "inode",  "device" };
	size_t i, len = strlen(f->name);

	if (f->type != PROTOBUF_C_TYPE_FIXED64 &&
	    f->type != PROTOBUF_C_TYPE_FIXED32)
		return false;
	if (len > 3 && (!strcmp(f->name + len - 3, "_ns") ||
			!strcmp(f->name + len - 3, "_us")))
		return false;
	for (i = 0; i < ARRAY_SIZE(counted); i++)
		if (!strcmp(f->name, counted[i]))
			return false;
	return true;
}

static void print_bytes(FILE *out, const uint8_t *p, size_t len)
{
	size_t i;

	if (is_text(p, len)) {
		fprintf(out, " %.*s", (int)len, (const char *)p);
		return;
	}
	fprintf(out, " %zu bytes ", len);
	for (i = 0; i < len && i < BYTES_SHOWN; i++)
		fprintf(out, "%02x", p[i]);
	if (len > BYTES_SHOWN)
		fputs("...", out);
}

static void print_value(FILE *out, const struct value *v)
{
	const uint8_t *bytes;
	bool is_signed;
	uint64_t n;
	size_t len;

	if (as_number(v, &is_signed, &n)) {
		if (is_signed)
			fprintf(out, " %" PRId64, (int64_t)n);
		else if (in_hex(v->field))
			fprintf(out, " 0x%" PRIx64, n);
		else
			fprintf(out, " %" PRIu64, n);
		return;
	}
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)v->at ? " yes" : " no", out);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		fprintf(out, " %s", enum_name(v) ? enum_name(v) : "?");
		break;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		bytes_of(v, &bytes, &len);
		print_bytes(out, bytes, len);
		break;
	default:
		break;
	}
}

void record_print(FILE *out, const ProtobufCMessage *msg, unsigned int indent)
{
	const ProtobufCMessageDescriptor *type = msg->descriptor;
	unsigned int i;

	for (i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		struct value v;
		size_t count = field_values(msg, f, &v);

		if (!count)
			continue;
		if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
			for (; count; count--, v = next_value(&v)) {
				fprintf(out, "%*s%s:\n", (int)indent, "",
					f->name);
				record_print(out,
					     *(ProtobufCMessage *const *)v.at,
					     indent + 2);
			}
			continue;
		}
		fprintf(out, "%*s%s:", (int)indent, "", f->name);
		for (; count; count--, v = next_value(&v))
			print_value(out, &v);
		fputc('\n', out);
	}
}

struct json_object *bytes_json(const uint8_t *p, size_t len)
{
	json_object *o;
	char *hex;
	size_t i;

	if (is_text(p, len))
		return json_object_new_string_len((const char *)p, (int)len);
	o = json_object_new_object();
	hex = malloc(2 * len + 1);
	if (!o || !hex) {
		json_object_put(o);
		free(hex);
		return NULL;
	}
	for (i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", p[i]);
	json_object_object_add(o, "hex",
			       json_object_new_string_len(hex, (int)(2 * len)));
	free(hex);
	return o;
}

static json_object *json_value(const struct value *v)
{
	const uint8_t *bytes;
	bool is_signed;
	uint64_t n;
	size_t len;

	if (as_number(v, &is_signed, &n))
		return is_signed ? json_object_new_int64((int64_t)n)
				 : json_object_new_uint64(n);
	switch (v->field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return json_object_new_boolean(
			*(const protobuf_c_boolean *)v->at);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_name(v) ? json_object_new_string(enum_name(v))
				    : json_object_new_int(*(const int *)v->at);
	case PROTOBUF_C_TYPE_MESSAGE:
		return record_json(*(ProtobufCMessage *const *)v->at);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		bytes_of(v, &bytes, &len);
		return bytes_json(bytes, len);
	default:
		return NULL;
	}
}

static json_object *json_array(struct value v, size_t count)
{
	json_object *list = json_object_new_array();

	for (; list && count; count--, v = next_value(&v))
		json_object_array_add(list, json_value(&v));
	return list;
}

json_object *record_json(const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *type = msg->descriptor;
	json_object *o = json_object_new_object();
	unsigned int i;

	for (i = 0; o && i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		struct value v;
		size_t count = field_values(msg, f, &v);

		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			json_object_object_add(o, f->name,
					       json_array(v, count));
		else if (count)
			json_object_object_add(o, f->name, json_value(&v));
	}
	return o;
}
