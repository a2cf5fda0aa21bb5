/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/btf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/cleanup.h"

#define BYTES_MAX (256u << 20)
#define DEPTH_MAX 16 /* of types that are made of another one */

/* Kinds that a type of the compiler's headers may not know yet. */
#define KIND_FLOAT    16u
#define KIND_DECL_TAG 17u
#define KIND_TYPE_TAG 18u
#define KIND_ENUM64   19u
#define MAGIC         0xeb9fu
#define OFFSET_OF(m)  ((m)&0xffffffu) /* where bit fields are told */

/* Of what comes behind a type; < 0: a kind that is not known. */
static int64_t more_bytes(const struct btf_type *t)
{
	uint32_t n = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case KIND_FLOAT:
	case KIND_TYPE_TAG:
		return 0;
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case KIND_DECL_TAG:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * (int64_t)sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * (int64_t)sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO:
		return n * (int64_t)sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return n * (int64_t)sizeof(struct btf_var_secinfo);
	case KIND_ENUM64:
		return n * (int64_t)(3 * sizeof(uint32_t));
	default:
		return -1;
	}
}

static const struct btf_type *type_at(const struct btf *b, size_t at)
{
	return (const struct btf_type *)(const void *)(b->data + at);
}

/* NULL: void, or there is none of that number. */
static const struct btf_type *type_of(const struct btf *b, uint32_t id)
{
	return id && id < b->ntypes ? type_at(b, b->at[id]) : NULL;
}

static const char *name_of(const struct btf *b, uint32_t offset)
{
	return offset < b->strings_end - b->strings
		       ? b->data + b->strings + offset
		       : "";
}

static int index_types(struct btf *b, size_t at)
{
	size_t room = (b->types_end - at) / sizeof(struct btf_type) + 1;
	int64_t more;

	b->at = calloc(room, sizeof(*b->at));
	if (!b->at)
		return -ENOMEM;
	for (b->ntypes = 1; at < b->types_end; b->ntypes++) {
		if (b->types_end - at < sizeof(struct btf_type))
			return -EBADMSG;
		more = more_bytes(type_at(b, at));
		b->at[b->ntypes] = (uint32_t)at;
		at += sizeof(struct btf_type);
		if (more < 0 || (size_t)more > b->types_end - at)
			return -EBADMSG;
		at += (size_t)more;
	}
	return 0;
}

static int parse(struct btf *b)
{
	const struct btf_header *h = (const void *)b->data;
	uint64_t types, types_end, strings, strings_end;

	if (b->len < sizeof(*h) || h->magic != MAGIC)
		return -EBADMSG;
	types = (uint64_t)h->hdr_len + h->type_off;
	types_end = types + h->type_len;
	strings = (uint64_t)h->hdr_len + h->str_off;
	strings_end = strings + h->str_len;
	if (types_end > b->len || types % 4 || strings_end > b->len ||
	    strings == strings_end || b->data[strings_end - 1])
		return -EBADMSG;
	b->types_end = types_end;
	b->strings = strings;
	b->strings_end = strings_end;
	return index_types(b, types);
}

/* By pieces of 4 KiB, which is all that sysfs hands out at a time. */
static int read_all(int fd, size_t len, char **ret)
{
	auto_free char *data = malloc(len);
	size_t got = 0;
	ssize_t n;

	if (!data)
		return -ENOMEM;
	while (got < len) {
		n = read(fd, data + got, len - got);
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		got += (size_t)n;
	}
	*ret = take_ptr(data);
	return 0;
}

/* Linux 6.16 lets it be mapped. */
static int take_whole(const char *path, struct btf *b)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size > BYTES_MAX)
		return -EBADMSG;
	b->len = (size_t)st.st_size;
	p = mmap(NULL, b->len, PROT_READ, MAP_PRIVATE, fd, 0);
	b->mapped = p != MAP_FAILED;
	if (!b->mapped)
		return read_all(fd, b->len, &b->data);
	b->data = p;
	return 0;
}

int btf_read(const char *path, struct btf *ret)
{
	struct btf b = { 0 };
	int r = take_whole(path, &b);

	if (r == 0)
		r = parse(&b);
	if (r < 0)
		btf_done(&b);
	else
		*ret = b;
	return r;
}

void btf_done(struct btf *b)
{
	free(b->at);
	if (b->mapped)
		(void)munmap(b->data, b->len);
	else
		free(b->data);
	memset(b, 0, sizeof(*b));
}

static int find(const struct btf *b, uint32_t kind, const char *name)
{
	for (uint32_t id = 1; id < b->ntypes; id++) {
		const struct btf_type *t = type_of(b, id);

		if (BTF_INFO_KIND(t->info) == kind &&
		    strcmp(name_of(b, t->name_off), name) == 0)
			return (int)id;
	}
	return -ENOENT;
}

int btf_function(const struct btf *b, const char *name)
{
	return find(b, BTF_KIND_FUNC, name);
}

static bool is_aggregate(const struct btf_type *t)
{
	return t && (BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT ||
		     BTF_INFO_KIND(t->info) == BTF_KIND_UNION);
}

/* What a type is called, and const and the like, are not looked at. */
static const struct btf_type *plain_type(const struct btf *b, uint32_t id)
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		const struct btf_type *t = type_of(b, id);

		switch (t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case KIND_TYPE_TAG:
			id = t->type;
			break;
		default:
			return t;
		}
	}
	return NULL;
}

/* What is told of a member, in which one or the other is of interest. */
struct place {
	int64_t bits; /* from the structure's begin */
	const struct btf_type *type;
};

static int member_in(const struct btf *b, const struct btf_type *t,
		     const char *name, size_t len, int depth, struct place *ret)
{
	const struct btf_member *m = (const void *)(t + 1);
	bool fields = BTF_INFO_KFLAG(t->info);

	for (uint32_t i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		uint32_t bits = fields ? OFFSET_OF(m->offset) : m->offset;
		const struct btf_type *in = type_of(b, m->type);
		const char *is = name_of(b, m->name_off);

		if (strlen(is) == len && memcmp(is, name, len) == 0) {
			*ret = (struct place){ bits, plain_type(b, m->type) };
			return 0;
		}
		if (*is || !is_aggregate(in) || depth == DEPTH_MAX)
			continue;
		if (member_in(b, in, name, len, depth + 1, ret) == 0) {
			ret->bits += bits;
			return 0;
		}
	}
	return -ENOENT;
}

static bool is_scalar(const struct btf_type *t, size_t bytes)
{
	switch (t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN) {
	case BTF_KIND_PTR:
		return bytes == sizeof(uint64_t);
	case BTF_KIND_INT:
		return t->size == bytes;
	default:
		return false;
	}
}

/* As far as offsets of loads reach. */
static int offset_of(const struct place *p, size_t bytes)
{
	int64_t unit = bytes ? (int64_t)bytes * 8 : 8;

	if ((bytes && !is_scalar(p->type, bytes)) || p->bits % unit ||
	    p->bits / 8 > INT16_MAX)
		return -ENOENT;
	return (int)(p->bits / 8);
}

int btf_member(const struct btf *b, const char *structure, const char *member,
	       size_t bytes)
{
	int id = find(b, BTF_KIND_STRUCT, structure);
	struct place at = { .type = id < 0 ? NULL : type_of(b, (uint32_t)id) };
	int64_t bits = 0;

	for (;; member += strcspn(member, ".") + 1) {
		size_t len = strcspn(member, ".");

		if (!len || !is_aggregate(at.type) ||
		    member_in(b, at.type, member, len, 0, &at) < 0)
			return -ENOENT;
		at.bits += bits;
		bits = at.bits;
		if (!member[len])
			return offset_of(&at, bytes);
	}
}

int btf_size(const struct btf *b, const char *structure)
{
	int id = find(b, BTF_KIND_STRUCT, structure);

	return id < 0 ? id : (int)type_of(b, (uint32_t)id)->size;
}

int btf_enumerator(const struct btf *b, const char *name, int32_t *ret)
{
	for (uint32_t id = 1; id < b->ntypes; id++) {
		const struct btf_type *t = type_of(b, id);
		const struct btf_enum *e = (const void *)(t + 1);

		if (BTF_INFO_KIND(t->info) != BTF_KIND_ENUM)
			continue;
		for (uint32_t i = 0; i < BTF_INFO_VLEN(t->info); i++, e++)
			if (strcmp(name_of(b, e->name_off), name) == 0) {
				*ret = e->val;
				return 0;
			}
	}
	return -ENOENT;
}
