/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "util/cleanup.h"

/* The first field is the number, or OpenFile, whose first field is. */
static uint32_t record_id(const ProtobufCMessage *msg)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field(msg->descriptor, 1);
	const uint8_t *at = (const uint8_t *)msg;
	const ProtobufCMessage *inner;
	uint32_t id = 0;

	if (!f || f->label == PROTOBUF_C_LABEL_REPEATED)
		return 0;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		memcpy(&inner, at + f->offset, sizeof(inner));
		return inner ? record_id(inner) : 0;
	}
	if (f->type == PROTOBUF_C_TYPE_UINT32 ||
	    f->type == PROTOBUF_C_TYPE_INT32)
		memcpy(&id, at + f->offset, sizeof(id));
	return id;
}

int32_t plan_number(const ProtobufCMessage *msg, const char *field)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(msg->descriptor,
								field);
	int32_t n = 0;

	if (f && f->type == PROTOBUF_C_TYPE_INT32 &&
	    f->label != PROTOBUF_C_LABEL_REPEATED)
		memcpy(&n, (const uint8_t *)msg + f->offset, sizeof(n));
	return n;
}

static int order_records(const void *a, const void *b)
{
	const struct plan_record *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static int order_threads(const void *a, const void *b)
{
	const struct plan_thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

/* The first record that does not come before this tag and number. */
static size_t first_record(const struct plan *plan, uint32_t tag, uint32_t id)
{
	struct plan_record key = { .tag = tag, .id = id };
	size_t low = 0, high = plan->nindex, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (order_records(&plan->index[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct plan_record *plan_find(const struct plan *plan, uint32_t tag,
				    uint32_t id, size_t *ret_count)
{
	size_t first = first_record(plan, tag, id), end = first;

	while (end < plan->nindex && plan->index[end].tag == tag &&
	       plan->index[end].id == id)
		end++;
	*ret_count = end - first;
	return &plan->index[first];
}

const struct plan_record *plan_kind(const struct plan *plan, uint32_t tag,
				    size_t *ret_count)
{
	size_t first = first_record(plan, tag, 0);

	*ret_count = first_record(plan, tag + 1, 0) - first;
	return &plan->index[first];
}

const struct plan_thread *plan_thread(const struct plan *plan, int32_t tid)
{
	struct plan_thread key = { .tid = tid };

	return bsearch(&key, plan->threads, plan->nthreads, sizeof(key),
		       order_threads);
}

/* glibc's qsort is a merge sort only while memory lasts: order by hand. */
static int stable_order(const void *a, const void *b)
{
	const struct plan_record *const *x = a, *const *y = b;
	int order = order_records(*x, *y);

	return order ? order : (*x > *y) - (*x < *y);
}

int plan_index(struct plan *plan, struct err *err)
{
	const struct meta *meta = plan->meta;
	auto_free struct plan_record *plain = NULL;
	auto_free struct plan_record **order = NULL;

	plain = calloc(meta->count + 1, sizeof(*plain));
	order = calloc(meta->count + 1, sizeof(*order));
	plan->index = calloc(meta->count + 1, sizeof(*plan->index));
	if (!plain || !order || !plan->index)
		return err_num(err, ENOMEM, "index of %zu records",
			       meta->count);
	for (size_t i = 0; i < meta->count; i++) {
		plain[i].tag = meta->entries[i].tag;
		plain[i].msg = meta->entries[i].msg;
		plain[i].id = record_id(plain[i].msg);
		order[i] = &plain[i];
	}
	qsort(order, meta->count, sizeof(struct plan_record *), stable_order);
	for (size_t i = 0; i < meta->count; i++)
		plan->index[i] = *order[i];
	plan->nindex = meta->count;
	return 0;
}
