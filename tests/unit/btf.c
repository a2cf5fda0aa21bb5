/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/btf.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"

static bool parses(const char *path, const char *data, size_t len)
{
	auto_close int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	struct err err;
	struct btf b;
	int r;

	if (fd < 0 || write_all(fd, data, len, &err) < 0)
		abort();
	r = btf_read(path, &b);
	if (r == 0)
		btf_done(&b);
	return r == 0;
}

/*
 * A header, an integer "long", a structure "s" with "a", and in a union "b";
 * and "o" with a number of 4 bytes and an "s".
 */
static void test_types(void)
{
	static const uint32_t types[] = {
		1,  1u << 24,
		8,  64, /* 1: long */
		6,  4u << 24 | 2,
		16, /* 2: struct s */
		8,  1,
		0,  0,
		3,  64, /* a, and a union */
		0,  5u << 24 | 2,
		8, /* 3 */
		10, 4,
		0,  12,
		1,  0, /* b, and c */
		0,  2u << 24,
		3, /* 4: pointer */
		14, 12u << 24,
		4, /* 5: function f */
		16, 4u << 24 | 2,
		24, /* 6: struct o */
		18, 7,
		32, /* n */
		20, 2,
		64, /* in */
		0,  1u << 24,
		4,  32, /* 7: int */
		0,  6u << 24 | 2,
		4, /* 8: an enumeration */
		23, 3,
		25, 7, /* v, w */
	};
	static const char names[] = "\0long\0s\0a\0b\0c\0f\0o\0n\0in\0v\0w";
	char path[] = "/tmp/jobcr-types.XXXXXX";
	uint32_t head[6] = { 0x0001eb9f,    24,           0, sizeof(types),
			     sizeof(types), sizeof(names) };
	char data[sizeof(head) + sizeof(types) + sizeof(names)];
	auto_close int fd = mkostemp(path, O_CLOEXEC);
	struct btf b = { 0 };
	int32_t value = 0;
	int bad = 0;

	memcpy(data, head, sizeof(head));
	memcpy(data + sizeof(head), types, sizeof(types));
	memcpy(data + sizeof(head) + sizeof(types), names, sizeof(names));
	ok(parses(path, data, sizeof(data)), "types of a kernel are read");
	for (size_t len = 0; len < sizeof(data); len++)
		bad += parses(path, data, len);
	ok(bad == 0, "cut off at any byte they are refused");
	(void)parses(path, data, sizeof(data));
	if (btf_read(path, &b) == 0) {
		ok(btf_member(&b, "s", "a", 8) == 0 &&
			   btf_member(&b, "s", "b", 8) == 8 &&
			   btf_member(&b, "s", "c", 8) == 8 &&
			   btf_function(&b, "f") == 5,
		   "members are found, also in what has no name");
		ok(btf_member(&b, "o", "n", 4) == 4 &&
			   btf_member(&b, "o", "in", 0) == 8 &&
			   btf_member(&b, "o", "in.a", 8) == 8 &&
			   btf_member(&b, "o", "in.c", 8) == 16,
		   "and in what has one");
		ok(btf_size(&b, "o") == 24 &&
			   btf_enumerator(&b, "w", &value) == 0 && value == 7,
		   "sizes and names of values");
		ok(btf_member(&b, "s", "d", 8) == -ENOENT &&
			   btf_member(&b, "t", "a", 8) == -ENOENT &&
			   btf_member(&b, "s", "a", 4) == -ENOENT &&
			   btf_member(&b, "o", "n", 8) == -ENOENT &&
			   btf_member(&b, "o", "in", 8) == -ENOENT &&
			   btf_member(&b, "o", "i", 0) == -ENOENT &&
			   btf_member(&b, "o", "in.", 0) == -ENOENT &&
			   btf_member(&b, "o", "n.a", 8) == -ENOENT &&
			   btf_size(&b, "t") == -ENOENT &&
			   btf_enumerator(&b, "x", &value) == -ENOENT &&
			   btf_function(&b, "s") == -ENOENT,
		   "what is not there is not");
		btf_done(&b);
	}
	unlink(path);
	ok(btf_read("/no/such", &b) == -ENOENT, "no types: no types");
}

int main(void)
{
	test_types();
	return done_testing();
}
