// SPDX-License-Identifier: GPL-2.0-or-later
/* An eventfd says what it is, and is as it was. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void test_mode(uint64_t count, int flags)
{
	const uint64_t wanted = (flags & EFD_SEMAPHORE) != 0;
	auto_close int fd = eventfd(0, flags), file = -EBADF;
	struct eventfd_copy copy = { 0 };
	struct err err = { 0 };
	int before = fcntl(fd, F_GETFL);

	if (count && write(fd, &count, sizeof(count)) != sizeof(count))
		abort();
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
	test_refused();
	return done_testing();
}
