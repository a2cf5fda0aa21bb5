/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory in more pieces than are kept in mind, as every other page is there, or
 * was written: all of it is saved, and the checkpoint goes on.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPANS_MAX 100u
#include "kernel/userfault.h"
#include "src/engine/search.c"
#include "tests/lib/tap.h"

#define PAGES 512u

static uint8_t *memory;
static struct page_range range;

static void write_to(size_t first, size_t count, size_t step)
{
	for (size_t i = 0; i < count; i++)
		memory[(first + i * step) * PAGE] = 1;
}

/* What is left to be saved. */
static int count(struct search *s, size_t *pages, struct err *err)
{
	const struct source *source;
	uint64_t start;
	int r = search_begin(s, err);

	for (*pages = 0; r == 0;) {
		r = search_next(s, &source, err);
		if (r < 0 || !source)
			break;
		*pages += search_take(s, EXTENT_MAX_PAGES, &start);
	}
	return r;
}

/* Look at it as a checkpoint does; how many pages are to be saved? */
static size_t look(bool arm)
{
	struct err err = { 0 };
	struct search *s;
	size_t pages = 0;
	int r = search_new(NULL, arm, true, &s, &err);

	if (r == 0)
		r = search_add_range(s, &range, &err);
	if (r == 0)
		r = count(s, &pages, &err);
	if (r < 0)
		diag("%s", err.text);
	search_free(s);
	return r < 0 ? 0 : pages;
}

/* As a checkpoint that would end the job, and copies it where it stands. */
static size_t look_unpinned(bool *ret_pinned)
{
	struct err err = { 0 };
	struct pin *pin = NULL;
	struct search *s;
	size_t pages = 0;
	int r = search_new(NULL, false, true, &s, &err);

	if (r == 0)
		r = search_add_range(s, &range, &err);
	if (r == 0)
		r = pin_new(&pin, &err);
	*ret_pinned = r == 0 && search_pin(s, pin, &err) == 0;
	diag("%s", err.text);
	if (r == 0)
		r = count(s, &pages, &err);
	pin_free(pin);
	search_free(s);
	return r < 0 ? 0 : pages;
}

/* What is there, and marked as unwritten. */
static bool is_watched_now(void)
{
	auto_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct page_run run;
	uint64_t next;
	size_t n;

	return written_scan(fd, range.start, range.end, false, &run, 1, &n,
			    &next) == 0;
}

/* Pages of it that the next snapshot will not borrow. */
static size_t count_written(void)
{
	auto_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct page_run runs[SEARCH_RUNS];
	uint64_t next;
	size_t n = 0, pages = 0;

	(void)written_scan(fd, range.start, range.end, false, runs, SEARCH_RUNS,
			   &n, &next);
	for (size_t i = 0; i < n; i++)
		if (runs[i].written)
			pages += (runs[i].end - runs[i].start) / PAGE;
	return pages;
}

static void test_unpinned(void)
{
	bool pinned;

	(void)madvise(memory, PAGES * PAGE, MADV_DONTNEED);
	write_to(0, PAGES / 2, 2);
	range.since = false;
	range.watch_fd = -1;
	ok(look_unpinned(&pinned) == PAGES / 2 && !pinned,
	   "what is in too many pieces to be pinned is saved all the same");
}

/* It is at this place now, and was not watched there. */
static void look_at(size_t first, size_t count)
{
	range.start = (uint64_t)(uintptr_t)memory + first * PAGE;
	range.end = range.start + count * PAGE;
	range.since = false;
}

static void move(uint8_t *from, uint8_t *to, size_t pages)
{
	if (mremap(from, pages * PAGE, pages * PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		diag("mremap: %m");
}

/*
 * What is moved beside the mapping that it was moved away from becomes one
 * with it, and the kernel watches neither any more.  But the pages that were
 * there keep their marks, and are written to as they are.
 */
static void test_moved(int fd)
{
	const size_t half = PAGES / 2;
	uint8_t *before = memory;

	range.watch_fd = fd;
	look_at(0, PAGES);
	write_to(0, PAGES, 1);
	ok(look(true) == PAGES, "memory that is watched");
	memory = mmap(NULL, 2 * PAGES * PAGE, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	memory += half * PAGE;
	move(before, memory, half);
	look_at(0, half);
	ok(look(true) == half, "a part of it is moved, and watched again");
	move(before + half * PAGE, memory + half * PAGE, half);
	ok(!is_watched_now(), "the rest is moved, too");
	write_to(0, 3, 1);
	look_at(0, PAGES);
	ok(look(true) == PAGES, "all of it is saved");
	range.since = true;
	write_to(0, 2, 1);
	ok(count_written() == 2, "what is written to then is told: %zu pages",
	   count_written());
}

/* As look, of an attempt that fails when the process has gone on. */
static void fail(size_t first, size_t count)
{
	struct err err = { 0 };
	struct search *s;
	int r = search_new(NULL, true, true, &s, &err);

	if (r == 0)
		r = search_add_range(s, &range, &err);
	if (r == 0)
		r = search_begin(s, &err);
	write_to(first, count, 1);
	if (r == 0)
		r = search_disarm(s);
	ok(r == 0, "an attempt fails%s", err.text);
	search_free(s);
}

static void test_failed(void)
{
	range.since = false;
	write_to(0, PAGES, 1);
	fail(0, 1);
	ok(!is_watched_now(), "of the first nothing is left");
	ok(look(true) == PAGES, "memory that is watched");
	range.since = true;
	write_to(0, 20, 2);
	fail(100, 3);
	ok(count_written() == 23 && is_watched_now(),
	   "what was written before and since is told then: %zu pages",
	   count_written());
	fail(0, 0);
	ok(count_written() == 23, "after another, too");
	fail(102, 5);
	(void)munmap(memory + 10 * PAGE, 2 * PAGE);
	ok(count_written() == 26, "and what was then: %zu pages",
	   count_written());
	range.end = range.start + 10 * PAGE;
	ok(look(true) == 10 && count_written() == 0,
	   "by one that does not fail nothing is left of it");
}

/* A mapping is gone when it is to be unmarked. */
static void test_failed_unmapped(void)
{
	struct err err = { 0 };
	struct search *s;
	int r = search_new(NULL, true, true, &s, &err);

	range.since = true;
	range.end = range.start + 10 * PAGE;
	write_to(0, 10, 1);
	if (r == 0)
		r = search_add_range(s, &range, &err);
	if (r == 0)
		r = search_begin(s, &err);
	(void)munmap(memory + 3 * PAGE, 2 * PAGE);
	(void)mmap(memory + 7 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ok(r == 0 && search_disarm(s) == 0,
	   "some of it is unmapped before one fails");
	range.end = range.start + 3 * PAGE;
	ok(count_written() == 3, "what is before it is told");
	range.start += 8 * PAGE;
	range.end = range.start + 2 * PAGE;
	ok(count_written() == 2, "and behind it");
	search_free(s);
}

/* How often each page was taken. */
static unsigned char times[PAGES];

/* Up to so many pages; how many of them were there to be taken. */
static size_t take(struct search *s, size_t pages, struct err *err)
{
	const struct source *source = NULL;
	size_t n = 1, sum = 0;
	uint64_t start;

	while (sum < pages && n && search_next(s, &source, err) == 0 &&
	       source) {
		n = search_take(s, pages - sum, &start);
		sum += n;
		start -= (uint64_t)(uintptr_t)memory;
		while (n--)
			times[start / PAGE + n]++;
	}
	return sum;
}

/* A part of the memory as a range. */
static int add_part(struct search *s, size_t first, size_t count, bool alone,
		    struct err *err)
{
	struct page_range part = range;

	part.start = (uint64_t)(uintptr_t)memory + first * PAGE;
	part.end = part.start + count * PAGE;
	part.watch_fd = -1;
	part.since = false;
	part.alone = alone;
	part.common = !alone;
	return search_add_range(s, &part, err);
}

static bool taken_once(size_t step)
{
	for (size_t i = 0; i < PAGES; i++)
		if (times[i] != (i % step == 0))
			return false;
	return true;
}

/* Some is taken before all is known: the rest is what is left of it. */
static void test_early(size_t some, size_t step, bool pinned)
{
	const size_t part = PAGES / 4;
	struct err err = { 0 };
	struct pin *pin = NULL;
	struct search *s = NULL;
	size_t early;
	int r = search_new(NULL, false, true, &s, &err);

	memset(times, 0, sizeof(times));
	(void)madvise(memory, PAGES * PAGE, MADV_DONTNEED);
	write_to(0, PAGES / step, step);
	if (r == 0)
		r = add_part(s, 0, part, true, &err);
	early = r == 0 ? take(s, some, &err) : 0;
	ok(early == (some < part / step ? some : part / step),
	   "%zu of %zu pages are taken early", early, part / step);
	if (r == 0)
		r = add_part(s, part, part, false, &err);
	if (r == 0)
		r = add_part(s, 2 * part, part, true, &err);
	early = r == 0 ? take(s, some, &err) : 0;
	ok(early > 0 && !times[part] && !times[part + step],
	   "and %zu later, but none that may be another's", early);
	if (r == 0)
		r = add_part(s, 3 * part, part, true, &err);
	if (r == 0 && pinned)
		r = pin_new(&pin, &err);
	if (r == 0 && pinned)
		r = search_pin(s, pin, &err);
	if (r == 0)
		r = search_begin(s, &err);
	(void)take(s, PAGES, &err);
	ok(r == 0 && taken_once(step), "each page is taken once%s",
	   pinned ? ", of memory that is pinned" : "");
	diag("%s", err.text);
	pin_free(pin);
	search_free(s);
}

/* Who writes from outside between the two would leave no mark. */
static void test_armed_early(int fd)
{
	struct err err = { 0 };
	struct search *s = NULL;
	int r = search_new(NULL, true, true, &s, &err);

	memset(times, 0, sizeof(times));
	range.watch_fd = fd;
	range.since = false;
	range.alone = true;
	write_to(0, PAGES, 1);
	if (r == 0)
		r = search_add_range(s, &range, &err);
	ok(r == 0 && take(s, PAGES, &err) == 0,
	   "what is to be armed is not read");
	if (r == 0)
		r = search_begin(s, &err);
	ok(r == 0 && take(s, PAGES, &err) == PAGES, "until it is: %s",
	   err.text);
	range.alone = false;
	range.watch_fd = -1;
	search_free(s);
}

int main(void)
{
	auto_close int proc_fd = open("/proc/self", O_PATH | O_CLOEXEC);
	auto_close int fd = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
	struct err err;

	if (!written_supported() || fd < 0 || written_begin(fd, &err) < 0)
		skip_all("the kernel does not mark what was written");
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
	range = (struct page_range){
		.pid = getpid(),
		.ns_pid = getpid(),
		.proc_fd = proc_fd,
		.start = (uint64_t)(uintptr_t)memory,
		.end = (uint64_t)(uintptr_t)memory + PAGES * PAGE,
		.readable = true,
		.watchable = true,
		.watch_fd = fd,
	};
	write_to(0, PAGES, 1);
	ok(look(true) == PAGES && is_watched_now(),
	   "all is saved when it is watched for the first time");
	range.since = true;
	write_to(0, 40, 2);
	ok(look(true) == PAGES && is_watched_now(),
	   "a few pieces are kept in mind");
	write_to(0, PAGES / 2, 2);
	ok(look(true) == PAGES, "of too many all is saved");
	ok(!is_watched_now(), "and is not watched any more");
	range.since = false;
	ok(look(true) == PAGES && is_watched_now(),
	   "before the next time, when it is as new");
	range.since = true;
	write_to(0, PAGES / 2, 2);
	ok(look(false) == PAGES,
	   "also where it ends, and nobody watches from then on");
	test_unpinned();
	for (size_t some = 1; some < PAGES; some *= 4) {
		test_early(some, 8, false);
		test_early(some, 8, true);
	}
	test_early(EXTENT_MAX_PAGES, 1, false);
	test_armed_early(fd);
	test_moved(fd);
	test_failed();
	test_failed_unmapped();
	return done_testing();
}
