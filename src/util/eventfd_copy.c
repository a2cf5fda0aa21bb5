/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/eventfd_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

static int read_count(int fd, uint64_t *ret, struct err *err)
{
	static const char name[] = "\neventfd-count:";
	auto_free char *text = NULL;
	char path[64], *at;
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	r = read_file_at(AT_FDCWD, path, 4096, &text, &len, err);
	if (r < 0)
		return err_wrap(err, r, "eventfd");
	at = strstr(text, name);
	if (!at)
		return err_set(err, -ENODATA, "eventfd: no count in fdinfo");
	*ret = strtoull(at + strlen(name), NULL, 16);
	return 0;
}

/* Without waiting, whatever its flags are. */
static uint64_t take(int fd)
{
	uint64_t v = 0;
	struct iovec iov = { &v, sizeof(v) };
	ssize_t n;

	do
		n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	while (n < 0 && errno == EINTR);
	return n == sizeof(v) ? v : 0;
}

/* There is room: never more than was there, or 2 where nothing is. */
static int put(int fd, uint64_t v, struct err *err)
{
	ssize_t n;

	if (!v)
		return 0;
	do
		n = write(fd, &v, sizeof(v));
	while (n < 0 && errno == EINTR);
	return n == sizeof(v) ? 0
			      : err_sys(err, "eventfd: put %llu back",
					(unsigned long long)v);
}

/*
 * A semaphore gives one of many.  Where there are fewer than two, two are put
 * in that are taken out again.
 */
int eventfd_copy(int fd, struct eventfd_copy *ret, struct err *err)
{
	uint64_t count = 0, v;
	int r = read_count(fd, &count, err);

	if (r < 0)
		return r;
	if (count == UINT64_MAX)
		return err_set(err, -ENOTSUP, "eventfd: it has overflowed");
	if (count < 2) {
		(void)take(fd);
		r = put(fd, 2, err);
		if (r < 0)
			return r;
	}
	v = take(fd);
	if (count < 2 && v == 1)
		(void)take(fd);
	ret->count = count;
	ret->semaphore = v == 1;
	r = put(fd, count < 2 ? count : v, err);
	return r == 0 && !v
		       ? err_set(err, -EBUSY, "eventfd: somebody else reads it")
		       : r;
}

int eventfd_copy_file(int fd, struct err *err)
{
	auto_close int file = memfd_create("jobcr-eventfd", MFD_CLOEXEC);
	struct eventfd_copy c;
	int r;

	if (file < 0)
		return err_sys(err, "room for a copy");
	r = eventfd_copy(fd, &c, err);
	if (r == 0)
		r = write_all(file, &c, sizeof(c), err);
	return r < 0 ? r : take_fd(&file);
}
