/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/output_range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

#define BUFFER_BYTES (1u << 20)
#define BLOCK_BYTES  4096u

static bool is_zero(const uint8_t *data, size_t len)
{
	return !data[0] && !memcmp(data, data + 1, len - 1);
}

static int write_at(int fd, const uint8_t *data, size_t len, uint64_t at,
		    struct err *err)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write");
		data += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

/* Neighbouring blocks that are not zeros go out together. */
static int write_blocks(int fd, const uint8_t *data, size_t len, uint64_t at,
			struct err *err)
{
	size_t begin = 0, pos = 0;
	int r = 0;

	while (pos < len && r == 0) {
		size_t n = len - pos < BLOCK_BYTES ? len - pos : BLOCK_BYTES;

		if (is_zero(data + pos, n)) {
			r = write_at(fd, data + begin, pos - begin, at + begin,
				     err);
			begin = pos + n;
		}
		pos += n;
	}
	return r < 0 ? r
		     : write_at(fd, data + begin, len - begin, at + begin, err);
}

static int read_some(int fd, uint8_t *data, size_t len, uint64_t at,
		     size_t *ret, struct err *err)
{
	ssize_t n;

	do
		n = pread(fd, data, len, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "read");
	if (n == 0)
		return err_set(err, -ENODATA, "ends at byte %llu",
			       (unsigned long long)at);
	*ret = (size_t)n;
	return 0;
}

static int read_range(const struct output_range *range, struct digest *d,
		      uint8_t *data, struct err *err)
{
	uint64_t done = 0;
	size_t n = 0;
	int r = 0;

	while (done < range->length && r == 0) {
		uint64_t left = range->length - done;

		r = read_some(range->fd, data,
			      left < BUFFER_BYTES ? left : BUFFER_BYTES,
			      range->at + done, &n, err);
		if (r < 0)
			return r;
		if (range->alive)
			range->alive(range->arg);
		digest_add(d, data, n);
		if (range->to_fd >= 0)
			r = write_blocks(range->to_fd, data, n,
					 range->to_at + done, err);
		done += n;
	}
	return r;
}

int output_read(const struct output_range *range, uint8_t ret[DIGEST_BYTES],
		struct err *err)
{
	auto_free uint8_t *data = malloc(BUFFER_BYTES);
	struct digest *d;
	int r;

	if (!data)
		return err_num(err, ENOMEM, "buffer");
	r = digest_new(&d, err);
	if (r < 0)
		return r;
	r = read_range(range, d, data, err);
	if (r == 0)
		digest_end(d, ret);
	digest_free(d);
	return r;
}

bool output_same(int fd, uint64_t at, uint64_t length, const uint8_t *digest)
{
	const struct output_range range = {
		.fd = fd, .at = at, .length = length, .to_fd = -1
	};
	uint8_t sum[DIGEST_BYTES];
	struct err unused;

	return output_read(&range, sum, &unused) == 0 &&
	       memcmp(sum, digest, DIGEST_BYTES) == 0;
}
