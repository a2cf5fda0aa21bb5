// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An eventfd says what it is, and is as it was; who watches its edges may be
 * told again what is there, and is never told less or what is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../lib/tap.h"
#include "util/cleanup.h"
#include "util/copy_out.h"
#include "util/eventfd_copy.h"

static uint64_t count_of(int fd)
{
	char path[64], line[128];
	uint64_t count = UINT64_MAX;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "eventfd-count: %" SCNx64, &count) == 1)
			break;
	if (f)
		fclose(f);
	return count;
}

static void put(int fd, uint64_t v)
{
	if (v && write(fd, &v, sizeof(v)) != sizeof(v))
		abort();
}

static void test_mode(uint64_t count, int flags)
{
	const uint64_t wanted = (flags & EFD_SEMAPHORE) != 0;
	auto_close int fd = eventfd(0, flags), file = -EBADF;
	struct eventfd_copy copy = { 0 };
	struct err err = { 0 };
	int before = fcntl(fd, F_GETFL);

	put(fd, count);
	for (int i = 0; i < 2; i++) {
		cleanup_close(&file);
		file = copy_out(COPY_EVENTFD, fd, 0, &err);
		ok(file >= 0 &&
			   pread(file, &copy, sizeof(copy), 0) ==
				   sizeof(copy) &&
			   copy.semaphore == wanted && copy.count == count,
		   "%s of %" PRIu64 " says so %s",
		   wanted ? "a semaphore" : "a counter", count, err.text);
		ok(count_of(fd) == count && fcntl(fd, F_GETFL) == before,
		   "it has %" PRIu64 " and its flags", count_of(fd));
	}
}

static int watch(int fd, uint32_t events)
{
	struct epoll_event e = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		abort();
	return ep;
}

/* All that is told, as bits; *ret_n: in how many events. */
static uint32_t told(int ep, int *ret_n)
{
	struct epoll_event e;
	uint32_t bits = 0;

	for (*ret_n = 0; *ret_n < 9 && epoll_wait(ep, &e, 1, 0) == 1; ++*ret_n)
		bits |= e.events;
	return bits;
}

static void test_edges(uint64_t count, int mode)
{
	auto_close int fd = eventfd(0, EFD_NONBLOCK | mode);
	auto_close int in = watch(fd, EPOLLIN | EPOLLET);
	auto_close int late = watch(fd, EPOLLIN | EPOLLET);
	auto_close int out = watch(fd, EPOLLOUT | EPOLLET);
	auto_close int once = watch(fd, EPOLLIN | EPOLLOUT | EPOLLONESHOT);
	const uint32_t there = count ? EPOLLIN : 0;
	const char *what = mode ? "a semaphore" : "a counter";
	struct eventfd_copy copy;
	struct err err = { 0 };
	uint32_t bits;
	int n;

	put(fd, count);
	(void)told(in, &n);
	(void)told(out, &n);
	(void)told(once, &n);
	if (eventfd_copy(fd, &copy, &err) < 0)
		diag("%s", err.text);
	ok(count_of(fd) == count, "%s of %" PRIu64 " is that", what, count);
	bits = told(in, &n);
	ok(bits == 0 || (n == 1 && bits == there),
	   "an edge that was told is told %d times more, of what is there", n);
	bits = told(late, &n);
	ok(n == (count > 0) && bits == there,
	   "one that was not told yet is told once");
	bits = told(out, &n);
	ok(bits == 0 || (n == 1 && bits == EPOLLOUT),
	   "so with one of writing: %d times more", n);
	ok(told(once, &n) == 0 && n == 0, "what was to be told once stays so");
	put(fd, 1);
	ok(told(in, &n) == EPOLLIN && n == 1, "the next edge is told");
}

static void test_refused(void)
{
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct eventfd_copy copy = { .count = 7 };
	struct err err = { 0 };

	ok(eventfd_copy(null, &copy, &err) == -ENODATA && copy.count == 7,
	   "what is none is not read: %s", err.text);
}

int main(void)
{
	static const uint64_t counts[] = { 0, 1, 2, 3, 1000, UINT64_MAX - 1 };
	static const int flags[] = { 0, EFD_NONBLOCK, EFD_SEMAPHORE,
				     EFD_SEMAPHORE | EFD_NONBLOCK };

	alarm(60);
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++)
		for (size_t f = 0; f < ARRAY_SIZE(flags); f++)
			test_mode(counts[c], flags[f]);
	for (uint64_t count = 0; count < 4; count++) {
		test_edges(count, 0);
		test_edges(count, EFD_SEMAPHORE);
	}
	test_refused();
	return done_testing();
}
