/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/vdso.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

int vdso_digest(const struct vdso_image *image, uint8_t ret[DIGEST_BYTES],
		struct err *err)
{
	struct digest *d = NULL;
	int r;

	r = digest_new(&d, err);
	if (r < 0)
		return err_wrap(err, r, "vDSO");
	digest_add(d, image->data, image->len);
	digest_end(d, ret);
	digest_free(d);
	return 0;
}

int vdso_syscall(const struct vdso_image *image, uint64_t *ret, struct err *err)
{
	static const uint8_t insn[] = { 0x0f, 0x05 };
	const uint8_t *at;

	at = memmem(image->data, image->len, insn, sizeof(insn));
	if (!at)
		return err_set(err, -ENOTSUP, "no system call in the vDSO");
	*ret = (uint64_t)(at - image->data);
	return 0;
}

/* Calls with the arguments and the result of their function. */
static const struct {
	char name[16];
	uint32_t nr;
} calls[] = {
	{ "clock_gettime", SYS_clock_gettime },
	{ "gettimeofday", SYS_gettimeofday },
	{ "time", SYS_time },
	{ "getcpu", SYS_getcpu },
	{ "clock_getres", SYS_clock_getres },
};

struct code {
	uint8_t bytes[32];
	size_t len;
};

static void emit(struct code *c, const void *bytes, size_t len)
{
	memcpy(c->bytes + c->len, bytes, len);
	c->len += len;
}

/* All of the address space is within reach; rax holds no argument. */
static void emit_jump(struct code *c, uint64_t to)
{
	emit(c, "\x48\xb8", 2); /* movabs $to, %rax */
	emit(c, &to, sizeof(to));
	emit(c, "\xff\xe0", 2); /* jmp *%rax */
}

static void emit_call(struct code *c, uint32_t nr)
{
	emit(c, "\xb8", 1); /* mov $nr, %eax */
	emit(c, &nr, sizeof(nr));
	emit(c, "\x0f\x05\xc3", 3); /* syscall; ret */
}

static void emit_enosys(struct code *c)
{
	emit(c, "\x48\xc7\xc0\xda\xff\xff\xff\xc3", 8); /* mov $-38; ret */
}

/*
 * Where state would have another size, random numbers come from the call.
 * Who asks for the size (a state of SIZE_MAX) hears that there is no such
 * function, and does without.
 */
static void emit_random(struct code *c)
{
	emit(c, "\x49\x83\xf8\xff\x74\x08", 6); /* cmp $-1, %r8; je 1f */
	emit_call(c, SYS_getrandom);
	emit_enosys(c); /* 1: */
}

static const struct vdso_function *find(const struct vdso_function *list,
					size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

static void make_entry(struct code *c, const struct vdso_function *f,
		       const struct vdso_function *there, uint32_t random_size,
		       const struct vdso_target *to)
{
	bool random = strcmp(f->name, "getrandom") == 0;

	if (random && !(there && random_size == to->random_size)) {
		emit_random(c);
		return;
	}
	if (there) {
		emit_jump(c, to->base + there->offset);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (strcmp(calls[i].name, f->name) == 0) {
			emit_call(c, calls[i].nr);
			return;
		}
	}
	emit_enosys(c);
}

int vdso_redirect(uint8_t *data, size_t len, uint32_t random_size,
		  const struct vdso_target *to, struct err *err)
{
	struct vdso_function old[VDSO_FUNCTIONS], new[VDSO_FUNCTIONS];
	const struct vdso_image image = { data, len };
	size_t nold, nnew;
	int r;

	r = vdso_functions(&image, old, &nold, err);
	if (r == 0)
		r = vdso_functions(&to->image, new, &nnew, err);
	for (size_t i = 0; i < nold && r == 0; i++) {
		struct code c = { .len = 0 };

		make_entry(&c, &old[i], find(new, nnew, old[i].name),
			   random_size, to);
		if (c.len > old[i].room)
			return err_set(err, -ENOTSUP,
				       "its function %s is too short to lead "
				       "elsewhere",
				       old[i].name);
		memcpy(data + old[i].offset, c.bytes, c.len);
	}
	return r;
}

/* No code at an entry is longer than that of getrandom. */
bool vdso_was_redirected(uint8_t *data, const struct vdso_image *image)
{
	struct vdso_function list[VDSO_FUNCTIONS];
	struct code longest = { .len = 0 };
	struct err ignored;
	size_t n, len;

	if (vdso_functions(image, list, &n, &ignored) < 0)
		return false;
	emit_random(&longest);
	for (size_t i = 0; i < n; i++) {
		len = list[i].room < longest.len ? list[i].room : longest.len;
		memcpy(data + list[i].offset, image->data + list[i].offset,
		       len);
	}
	return memcmp(data, image->data, image->len) == 0;
}
