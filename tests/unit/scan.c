/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that several threads look through is what one would have found. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK_BYTES (64u * 4096u)
#define CHUNKS      7u
#define KEPT_MAX    200u
#include "src/engine/scan.c"
#include "tests/lib/tap.h"

#define PAGES 4096u
#define LISTS 5u

struct found {
	uint8_t *pages; /* of the whole memory: how often it was told */
	uint64_t base, last;
	size_t index, stop;
	bool ordered;
};

static uint8_t *memory;

static int note(void *arg, size_t i, uint64_t start, uint64_t end,
		struct err *err)
{
	struct found *f = arg;

	if (f->stop && --f->stop == 0)
		return err_set(err, -ECANCELED, "enough");
	if (i < f->index || (i == f->index && start < f->last))
		f->ordered = false;
	f->index = i;
	f->last = end;
	for (uint64_t at = start; at < end; at += 4096)
		f->pages[(at - f->base) / 4096]++;
	return 0;
}

/* Whether page i has contents. */
typedef bool (*pattern)(size_t i);

static bool in_pairs(size_t i)
{
	return i % 3 != 0;
}

static bool every_other(size_t i)
{
	return i % 2 == 0;
}

static bool all(size_t i)
{
	return i < PAGES;
}

static bool none(size_t i)
{
	return i >= PAGES;
}

static bool mixed(size_t i)
{
	return i < 900 || (i < 2000 && i % 2) || i > 3500;
}

static void check(int proc_fd, pattern has, const char *what)
{
	struct scan_range list[LISTS] = { 0 };
	struct found f = { .base = (uint64_t)(uintptr_t)memory,
			   .ordered = true };
	struct err err = { 0 };
	bool same = true;
	int r;

	(void)madvise(memory, (size_t)PAGES * 4096, MADV_DONTNEED);
	for (size_t i = 0; i < PAGES; i++)
		if (has(i))
			memory[i * 4096] = 1;
	/* Of several sizes, and one that is empty. */
	for (size_t i = 0; i < LISTS; i++) {
		static const size_t ends[LISTS] = { 1, 65, 65, 2000, PAGES };

		list[i].proc_fd = proc_fd;
		list[i].start = f.base + (i ? ends[i - 1] : 0) * 4096;
		list[i].end = f.base + ends[i] * 4096;
	}
	f.pages = calloc(PAGES, 1);
	r = scan_ranges(list, LISTS, note, &f, &err);
	for (size_t i = 0; i < PAGES; i++)
		same = same && f.pages[i] == has(i);
	ok(r == 0 && same && f.ordered, "%s: %s", what, err.text);
	free(f.pages);
}

static void test_end(int proc_fd)
{
	const struct scan_range list = {
		.proc_fd = proc_fd,
		.start = (uint64_t)(uintptr_t)memory,
		.end = (uint64_t)(uintptr_t)memory + (size_t)PAGES * 4096,
	};
	struct found f = { .base = list.start, .stop = 3, .ordered = true };
	struct err err = { 0 };

	for (size_t i = 0; i < PAGES; i += 2)
		memory[i * 4096] = 1;
	f.pages = calloc(PAGES, 1);
	ok(scan_ranges(&list, 1, note, &f, &err) == -ECANCELED,
	   "what was called can end it: %s", err.text);
	free(f.pages);
}

static void test_gone(void)
{
	const struct scan_range list = {
		.proc_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.ns_pid = 7,
		.end = 4096,
	};
	struct err err = { 0 };

	ok(scan_ranges(&list, 1, note, NULL, &err) == -ENOENT &&
		   strstr(err.text, "process 7"),
	   "a process that is none: %s", err.text);
	close(list.proc_fd);
}

static size_t open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int main(void)
{
	int proc_fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t files = open_files();

	memory = mmap(NULL, (size_t)PAGES * 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)madvise(memory, (size_t)PAGES * 4096, MADV_NOHUGEPAGE);
	check(proc_fd, none, "nothing");
	check(proc_fd, all, "everything");
	check(proc_fd, in_pairs, "pairs");
	check(proc_fd, every_other, "more pieces than are kept in mind");
	check(proc_fd, mixed, "of all kinds");
	test_end(proc_fd);
	test_gone();
	ok(open_files() == files, "no file is left open");
	return done_testing();
}
