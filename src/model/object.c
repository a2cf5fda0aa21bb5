// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/object.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

/* An open hash table with linear probing; at most half of it is in use. */
struct object {
	uint32_t kind;   /* enum object_kind */
	uint32_t number; /* 0: a free place */
	uint64_t a, b, c;
};

struct object_table {
	struct object *slots;
	size_t room; /* a power of two */
	size_t count;
};

#define FIRST_ROOM 1024

int object_table_new(struct object_table **ret, struct err *err)
{
	auto_free struct object_table *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(err, -ENOMEM, "object table: out of memory");
	t->slots = calloc(FIRST_ROOM, sizeof(*t->slots));
	if (!t->slots)
		return err_set(err, -ENOMEM, "object table: out of memory");
	t->room = FIRST_ROOM;
	*ret = take_ptr(t);
	return 0;
}

void object_table_free(struct object_table *t)
{
	if (!t)
		return;
	free(t->slots);
	free(t);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ (h >> 29);
}

/* Where the key is, or the free place where it would be. */
static struct object *place(const struct object *slots, size_t room,
			    const struct object *key)
{
	uint64_t h = mix(mix(mix(key->kind, key->a), key->b), key->c);
	size_t i = h & (room - 1);

	while (slots[i].number &&
	       (slots[i].kind != key->kind || slots[i].a != key->a ||
		slots[i].b != key->b || slots[i].c != key->c))
		i = (i + 1) & (room - 1);
	return (struct object *)&slots[i];
}

static int grow(struct object_table *t, struct err *err)
{
	size_t room = t->room * 2;
	struct object *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return err_set(err, -ENOMEM, "object table: out of memory");
	for (size_t i = 0; i < t->room; i++)
		if (t->slots[i].number)
			*place(slots, room, &t->slots[i]) = t->slots[i];
	free(t->slots);
	t->slots = slots;
	t->room = room;
	return 0;
}

int object_get(struct object_table *t, enum object_kind kind, uint64_t a,
	       uint64_t b, uint64_t c, uint32_t *ret, bool *ret_new,
	       struct err *err)
{
	struct object key = { .kind = kind, .a = a, .b = b, .c = c };
	struct object *o = place(t->slots, t->room, &key);
	int r;

	if (ret_new)
		*ret_new = !o->number;
	if (o->number) {
		*ret = o->number;
		return 0;
	}
	if (t->count == UINT32_MAX - 1)
		return err_set(err, -EOVERFLOW, "too many kernel objects");
	if ((t->count + 1) * 2 > t->room) {
		r = grow(t, err);
		if (r < 0)
			return r;
		o = place(t->slots, t->room, &key);
	}
	key.number = (uint32_t)++t->count;
	*o = key;
	*ret = key.number;
	return 0;
}

uint32_t object_find(const struct object_table *t, enum object_kind kind,
		     uint64_t a, uint64_t b, uint64_t c)
{
	struct object key = { .kind = kind, .a = a, .b = b, .c = c };

	return place(t->slots, t->room, &key)->number;
}
