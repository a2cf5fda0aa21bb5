/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/hugetlb.h"

/* What a data file has behind its end belongs to nobody. */
static int put_data(const struct data_file *f, uint64_t at, const uint8_t *data,
		    size_t len, struct err *err)
{
	ssize_t n;

	if (at >= f->size)
		return 0;
	if (len > f->size - at)
		len = (size_t)(f->size - at);
	while (len > 0) {
		n = pwrite(f->fd, data, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "object %u: write", f->object);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Files of hugetlbfs cannot be written, only mapped.  Pages are asked for
 * first: a lack of them is an error here, and no signal.
 */
static int put_huge(const struct data_file *f, uint64_t at, const uint8_t *data,
		    size_t len, struct err *err)
{
	uint64_t start = at & ~(f->huge - 1);
	uint64_t end = (at + len + f->huge - 1) & ~(f->huge - 1);
	uint8_t *map;

	if (end > f->size)
		return err_set(err, -EBADMSG, "object %u: pages behind its end",
			       f->object);
	while (fallocate(f->fd, 0, (off_t)start, (off_t)(end - start)) < 0)
		if (errno != EINTR)
			return err_sys(err, "object %u: huge pages of %s",
				       f->object, hugetlb_name(f->huge));
	map = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		   (off_t)start);
	if (map == MAP_FAILED)
		return err_sys(err, "object %u: mmap", f->object);
	memcpy(map + (at - start), data, len);
	(void)munmap(map, end - start);
	return 0;
}

int data_file_put(const struct data_file *f, uint64_t at, const uint8_t *data,
		  size_t len, struct err *err)
{
	return f->huge ? put_huge(f, at, data, len, err)
		       : put_data(f, at, data, len, err);
}
