/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image of a vDSO whose functions lead elsewhere.  The other kernel is this
 * one's image with names changed: it lacks what nobody calls by that name.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../lib/tap.h"
#include "engine/vdso.h"
#include "util/cleanup.h"

#define TRAP 0xcc

static struct vdso_image own;
static struct vdso_function list[VDSO_FUNCTIONS];
static size_t count;

static uint8_t *copy_own(void)
{
	uint8_t *copy = mmap(NULL, own.len, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		exit(99);
	memcpy(copy, own.data, own.len);
	return copy;
}

static const struct vdso_function *find(const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

static void *entry(uint8_t *image, const char *name)
{
	const struct vdso_function *f = find(name);

	return f ? image + f->offset : NULL;
}

/* Of all names, weak ones too; the last letter goes. */
static void hide(uint8_t *image, const char *name)
{
	size_t len = strlen(name);
	uint8_t *at = image;

	while ((at = memmem(at, own.len - (size_t)(at - image), name,
			    len + 1)) != NULL)
		at[len - 1] = '_';
}

static struct vdso_target target(const uint8_t *image)
{
	return (struct vdso_target){
		.image = { image, own.len },
		.base = (uint64_t)(uintptr_t)own.data,
		.random_size = vdso_random_size(),
	};
}

typedef long (*time_fn)(clockid_t id, struct timespec *at);
typedef long (*cpu_fn)(unsigned int *cpu, unsigned int *node, void *unused);
typedef long (*random_fn)(void *buf, size_t len, unsigned int flags,
			  void *state, size_t state_len);

static bool reads_clock(uint8_t *image)
{
	time_fn gettime = (time_fn)entry(image, "clock_gettime");
	struct timespec a, b = { 0 }, c;

	clock_gettime(CLOCK_MONOTONIC, &a);
	if (gettime(CLOCK_MONOTONIC, &b) != 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &c);
	return b.tv_sec >= a.tv_sec && b.tv_sec <= c.tv_sec &&
	       gettime(12345, &b) == -EINVAL;
}

static void test_own(void)
{
	struct err err = { 0 };

	ok(vdso_own(&own, &err) == 0 && own.len % 4096 == 0,
	   "this kernel's image: %s", err.text);
	ok(vdso_functions(&own, list, &count, &err) == 0 && count >= 5,
	   "%zu functions: %s", count, err.text);
	ok(find("clock_gettime") && find("getcpu") && find("time"),
	   "by names without what is in front of them");
	for (size_t i = 0; i < count; i++)
		ok(list[i].room >= 12, "%s has room for a jump: %u bytes",
		   list[i].name, list[i].room);
}

static void test_jump(void)
{
	uint8_t *image = copy_own();
	struct vdso_target to = target(own.data);
	struct err err = { 0 };

	for (size_t i = 0; i < count; i++)
		memset(image + list[i].offset, TRAP, list[i].room);
	ok(vdso_redirect(image, own.len, to.random_size, &to, &err) == 0,
	   "an image is made to lead here: %s", err.text);
	ok(reads_clock(image), "a call comes to the kernel's function");
	ok(memcmp(image, own.data, sizeof(Elf64_Ehdr)) == 0,
	   "its header is as it was");
	munmap(image, own.len);
}

static void test_known(void)
{
	uint8_t *image = copy_own();
	struct vdso_target to = target(own.data);
	struct err err = { 0 };

	ok(vdso_redirect(image, own.len, to.random_size + 1, &to, &err) == 0 &&
		   vdso_was_redirected(image, &own),
	   "an image that leads elsewhere is known again: %s", err.text);
	memcpy(image, own.data, own.len);
	image[find("clock_gettime")->offset + 30] ^= 1;
	ok(!vdso_was_redirected(image, &own), "that of another kernel is not");
	munmap(image, own.len);
}

static void test_missing(void)
{
	uint8_t *image = copy_own(), *other = copy_own();
	struct vdso_target to = target(other);
	unsigned int cpu = 999;
	struct err err = { 0 };

	hide(other, "clock_gettime");
	hide(other, "getcpu");
	ok(vdso_redirect(image, own.len, to.random_size, &to, &err) == 0,
	   "an image leads to a kernel without two functions: %s", err.text);
	ok(reads_clock(image), "a system call has taken the place of one");
	ok(((cpu_fn)entry(image, "getcpu"))(&cpu, NULL, NULL) == 0 && cpu < 999,
	   "and of the other");
	munmap(image, own.len);
	memcpy(other, own.data, own.len);
	image = copy_own();
	hide(image, "getcpu");
	ok(vdso_redirect(image, own.len, to.random_size, &to, &err) == 0 &&
		   ((cpu_fn)entry(image, "getcpu"))(&cpu, NULL, NULL) ==
			   -ENOSYS,
	   "a function that nobody knows is none");
	munmap(image, own.len);
	munmap(other, own.len);
}

static void test_random(void)
{
	uint32_t size = vdso_random_size();
	struct vdso_target to = target(own.data);
	uint8_t *image = copy_own();
	uint8_t state[4096] = { 0 };
	uint64_t a[4] = { 0 };
	struct err err = { 0 };
	random_fn get;

	if (!size) {
		skip("this vDSO has no getrandom");
		return;
	}
	ok(vdso_redirect(image, own.len, size + 16, &to, &err) == 0,
	   "state of another size: %s", err.text);
	get = (random_fn)entry(image, "getrandom");
	memset(state, 0x5a, sizeof(state));
	ok(get(a, sizeof(a), 0, state, size + 16) == sizeof(a) && a[0] &&
		   state[0] == 0x5a && state[size] == 0x5a,
	   "numbers come from the call, and state is not looked at");
	ok(get(a, sizeof(a), 0x8000, state, size + 16) == -EINVAL,
	   "errors too");
	ok(get(NULL, 0, 0, state, SIZE_MAX) == -ENOSYS && state[0] == 0x5a,
	   "who asks for the size hears that there is none");
	munmap(image, own.len);
}

/* A symbol of the image; NULL: none of that name. */
static Elf64_Sym *symbol(uint8_t *image, const char *name)
{
	const struct vdso_function *f = find(name);

	for (size_t at = 0; at + sizeof(Elf64_Sym) <= own.len; at += 8) {
		Elf64_Sym *s = (Elf64_Sym *)(void *)(image + at);

		if (s->st_value == f->offset &&
		    ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_size &&
		    s->st_size < 4096)
			return s;
	}
	return NULL;
}

static void test_short(void)
{
	uint8_t *image = copy_own();
	struct vdso_target to = target(own.data);
	struct err err = { 0 };
	Elf64_Sym *s = symbol(image, "time");

	s->st_size = 11;
	ok(vdso_redirect(image, own.len, 0, &to, &err) == -ENOTSUP &&
		   strstr(err.text, "time is too short"),
	   "a function without room: %s", err.text);
	memcpy(image, own.data, own.len);
	s->st_value += find("clock_gettime")->offset - find("time")->offset - 8;
	ok(vdso_redirect(image, own.len, 0, &to, &err) == -ENOTSUP,
	   "two that are too near: %s", err.text);
	munmap(image, own.len);
}

/* Whatever it says, nothing outside of it is read or written. */
static void test_hostile(void)
{
	uint8_t *image = malloc(own.len);
	struct vdso_target to = target(own.data);
	struct vdso_function f[VDSO_FUNCTIONS];
	unsigned int bad = 0;
	struct err err;
	size_t n;

	for (size_t at = 0; at < 0x600 && at < own.len; at++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(image, own.data, own.len);
			image[at] ^= (uint8_t)(1 << bit);
			bad += vdso_redirect(image, own.len, 0, &to, &err) < 0;
		}
	ok(bad > 0, "%u of many damaged images are refused", bad);
	for (size_t len = 0; len < own.len; len += 8) {
		uint8_t *part = malloc(len + 1);
		struct vdso_image cut = { part, len };

		memcpy(part, own.data, len);
		(void)vdso_functions(&cut, f, &n, &err);
		free(part);
	}
	ok(true, "images that are cut off");
	free(image);
}

int main(void)
{
	test_own();
	test_jump();
	test_known();
	test_missing();
	test_random();
	test_short();
	test_hostile();
	return done_testing();
}
