/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/plain.h"

#define NAME_MAX_BYTES 255

bool stream_text_ok(const char *s)
{
	return plain_is(s, strlen(s));
}

bool stream_name_ok(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') &&
	       strlen(name) <= NAME_MAX_BYTES && stream_text_ok(name) &&
	       strncmp(name, "manifest", 8) != 0;
}

int stream_open(int dir_fd, const struct user_id *user, const char *name,
		int *ret_fd, uint64_t *ret_length, struct err *err)
{
	auto_close int fd = -EBADF;
	struct stat st;
	int r = user ? as_user(user, err) : 0, num;

	if (r < 0)
		return r;
	/* O_NONBLOCK: a fifo in its place must not stop us. */
	fd = openat(dir_fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	num = errno;
	if (user)
		as_root();
	if (fd < 0 && num == ELOOP)
		return err_set(err, -EBADMSG, "%s: a link, not a file", name);
	if (fd < 0)
		return err_num(err, num, "%s", name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "%s: not a regular file", name);
	/* Root is another where it is squashed. */
	if (user && user->uid && st.st_uid && st.st_uid != user->uid)
		return err_set(err, -EPERM, "%s: is uid %u's, the job uid %u's",
			       name, st.st_uid, user->uid);
	*ret_length = (uint64_t)st.st_size;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int check_length(const char *name, uint64_t len, uint64_t expected,
			uint64_t limit, struct err *err)
{
	if (expected && len != expected)
		return err_set(err, -EBADMSG,
			       "%s: has %llu bytes, the manifest says %llu",
			       name, (unsigned long long)len,
			       (unsigned long long)expected);
	if (!len)
		return err_set(err, -EBADMSG, "%s: empty", name);
	if (len > limit)
		return err_set(err, -EBADMSG,
			       "%s: %llu bytes, the limit is %llu", name,
			       (unsigned long long)len,
			       (unsigned long long)limit);
	return 0;
}

int stream_load(int dir_fd, const struct user_id *user, const char *name,
		uint64_t expected, uint64_t limit, uint8_t **ret,
		size_t *ret_len, struct err *err)
{
	auto_close int fd = -EBADF;
	auto_free uint8_t *data = NULL;
	uint64_t len;
	int r = stream_open(dir_fd, user, name, &fd, &len, err);

	if (r < 0)
		return r;
	r = check_length(name, len, expected, limit, err);
	if (r < 0)
		return r;
	data = malloc(len);
	if (!data)
		return err_num(err, ENOMEM, "%s: %llu bytes", name,
			       (unsigned long long)len);
	r = read_all(fd, data, len, err);
	if (r < 0)
		return err_wrap(err, r, "%s", name);
	*ret = take_ptr(data);
	*ret_len = len;
	return 0;
}
