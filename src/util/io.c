/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

#define SCM_MAX_FDS 253

int write_all(int fd, const void *data, size_t len, struct err *err)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int read_all(int fd, void *data, size_t len, struct err *err)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read");
		if (n == 0)
			return err_set(err, -ENODATA, "ends %zu bytes early",
				       len);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int read_file_at(int dir_fd, const char *name, size_t limit, char **ret_data,
		 size_t *ret_len, struct err *err)
{
	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	auto_free char *data = NULL;
	size_t room = 4096, len = 0;

	if (fd < 0)
		return err_sys(err, "%s", name);
	for (;;) {
		char *more = len + 1 < room && data ? data
						    : realloc(data, room *= 2);
		ssize_t n;

		if (!more)
			return err_num(err, ENOMEM, "%s", name);
		data = more;
		n = read(fd, data + len, room - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "%s: read", name);
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > limit)
			return err_num(err, EFBIG, "%s", name);
	}
	data[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret_data = take_ptr(data);
	return 0;
}

int parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned int digit = (unsigned int)(*text - '0');

		if (digit > 9)
			return -EINVAL;
		if (v > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int send_fds(int sock, const void *data, size_t len, const int *fds,
	     size_t count, struct err *err)
{
	char control[CMSG_SPACE(sizeof(int) * SCM_MAX_FDS)] = { 0 };
	struct iovec io = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1 };
	ssize_t n;

	if (count > SCM_MAX_FDS)
		return err_set(err, -E2BIG, "more than %d descriptors",
			       SCM_MAX_FDS);
	if (count) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "send");
	if ((size_t)n != len)
		return err_set(err, -EIO, "send: short");
	return 0;
}

int recv_fds(int sock, void *data, size_t room, size_t *ret_len, int *ret_fds,
	     size_t *ret_count, struct err *err)
{
	char control[CMSG_SPACE(sizeof(int) * SCM_MAX_FDS)];
	struct iovec io = { data, room };
	struct msghdr msg = { .msg_iov = &io,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	size_t room_fds = *ret_count, got = 0;
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "receive");
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t many = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;
		int fds[SCM_MAX_FDS];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(c), many * sizeof(int));
		for (i = 0; i < many; i++) {
			if (got < room_fds)
				ret_fds[got++] = fds[i];
			else
				close(fds[i]);
		}
	}
	if (n == 0 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		while (got)
			close(ret_fds[--got]);
		return n == 0 ? err_set(err, -ENODATA, "the peer is gone")
			      : err_set(err, -EMSGSIZE, "message too long");
	}
	*ret_len = (size_t)n;
	*ret_count = got;
	return 0;
}

/* A lease (O_NONBLOCK) gives EAGAIN, too, and for longer. */
#define TRIES 1000

int open_in_root(int root_fd, const char *path, int flags, mode_t mode,
		 uint64_t resolve)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | resolve,
	};
	int fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = (int)syscall(SYS_openat2, root_fd, path, &how,
				  sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int open_named_dir(const char *path, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_DIRECTORY |
						  O_CLOEXEC),
		.resolve = RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

int make_named_dir(const char *path, int flags, mode_t mode)
{
	auto_free char *parent = strdup(path);
	auto_close int parent_fd = -EBADF;
	int fd = open_named_dir(path, flags);
	char *slash;
	size_t len;

	if (fd >= 0 || errno != ENOENT || !parent)
		return fd;
	len = strlen(parent);
	while (len > 1 && parent[len - 1] == '/')
		parent[--len] = '\0';
	slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';
	parent_fd = open_named_dir(!slash           ? "."
				   : slash > parent ? parent
						    : "/",
				   O_PATH);
	if (parent_fd < 0 ||
	    (mkdirat(parent_fd, slash ? slash + 1 : parent, mode) < 0 &&
	     errno != EEXIST))
		return -1;
	return open_named_dir(path, flags);
}
