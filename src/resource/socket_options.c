// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/socket_options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "kernel/unix_queue.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Numbers that not all headers know. */
enum {
	RCVTIMEO = 20,
	SNDTIMEO = 21,
	TIMESTAMP_NEW = 63,
	TIMESTAMPNS_NEW = 64,
	BUF_LOCK = 72,
	RCVMARK = 75,
	PASSPIDFD = 76,
	RCVPRIORITY = 82,
	PASSRIGHTS = 83,
	INQ = 84,
};

#define OPTION_MAX        16 /* bytes */
#define USER_PRIORITY_MAX 6

/* In the order in which they are set: sizes lock what BUF_LOCK tells. */
static const struct option {
	uint32_t name;
	socklen_t len;
} options[] = {
	{ SO_SNDBUF, sizeof(int) },
	{ SO_RCVBUF, sizeof(int) },
	{ BUF_LOCK, sizeof(int) },
	{ SO_REUSEADDR, sizeof(int) },
	{ SO_DONTROUTE, sizeof(int) },
	{ SO_BROADCAST, sizeof(int) },
	{ SO_KEEPALIVE, sizeof(int) },
	{ SO_OOBINLINE, sizeof(int) },
	{ SO_NO_CHECK, sizeof(int) },
	{ SO_PRIORITY, sizeof(int) },
	{ SO_LINGER, sizeof(struct linger) },
	{ SO_PASSCRED, sizeof(int) },
	{ SO_PASSSEC, sizeof(int) },
	{ PASSPIDFD, sizeof(int) },
	{ PASSRIGHTS, sizeof(int) },
	{ SO_RCVLOWAT, sizeof(int) },
	{ RCVTIMEO, sizeof(struct timeval) },
	{ SNDTIMEO, sizeof(struct timeval) },
	{ SO_TIMESTAMP, sizeof(int) },
	{ SO_TIMESTAMPNS, sizeof(int) },
	{ TIMESTAMP_NEW, sizeof(int) },
	{ TIMESTAMPNS_NEW, sizeof(int) },
	{ SO_RXQ_OVFL, sizeof(int) },
	{ SO_WIFI_STATUS, sizeof(int) },
	{ SO_NOFCS, sizeof(int) },
	{ SO_SELECT_ERR_QUEUE, sizeof(int) },
	{ RCVMARK, sizeof(int) },
	{ RCVPRIORITY, sizeof(int) },
	{ INQ, sizeof(int) },
	{ SO_PEEK_OFF, sizeof(int) },
};

/* Nothing else may be set with these. */
static const struct option never[] = {
	{ SO_MARK, sizeof(int) },        { SO_TIMESTAMPING, sizeof(int) },
	{ SO_LOCK_FILTER, sizeof(int) }, { SO_BUSY_POLL, sizeof(int) },
	{ SO_ZEROCOPY, sizeof(int) },    { SO_DEBUG, sizeof(int) },
};

/* Kernels that do not know an option have it at no socket. */
static bool get(int fd, uint32_t name, void *ret, socklen_t len)
{
	socklen_t got = len;

	memset(ret, 0, len);
	return getsockopt(fd, SOL_SOCKET, (int)name, ret, &got) == 0 && got == len;
}

static int get_int(int fd, uint32_t name)
{
	int v;

	return get(fd, name, &v, sizeof(v)) ? v : 0;
}

/* The largest buffer that a user can ask for, as it is told. */
static int buffer_max(const char *path)
{
	auto_free char *text = NULL;
	struct err ignored;
	size_t len;

	if (read_file_at(AT_FDCWD, path, 64, &text, &len, &ignored) < 0)
		return INT_MAX;
	return atoi(text) > INT_MAX / 2 ? INT_MAX : 2 * atoi(text);
}

static void refuse(const struct fd_view *fd, struct refusals *no,
		   const char *what, int value, const char *remedy)
{
	refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd, remedy,
		     "socket with %s %d", what, value);
}

int socket_options_check(const struct fd_view *fd, struct refusals *no,
			 struct err *err)
{
	static const char unset[] = "do not set it";
	const int sock = fd->own_fd;
	socklen_t len = 0;

	(void)err;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (get_int(sock, never[i].name))
			refuse(fd, no, "option", (int)never[i].name, unset);
	if (!unix_queue_marked(sock) &&
	    (getsockopt(sock, SOL_SOCKET, SO_GET_FILTER, NULL, &len) < 0 ||
	     len))
		refuse(fd, no, "a filter of instructions:", (int)len,
		       "let the program detach it (SO_DETACH_FILTER)");
	if (get_int(sock, SO_PRIORITY) > USER_PRIORITY_MAX)
		refuse(fd, no, "SO_PRIORITY", get_int(sock, SO_PRIORITY),
		       "use one up to 6");
	if (get_int(sock, SO_SNDBUF) >
	    buffer_max("/proc/sys/net/core/wmem_max"))
		refuse(fd, no, "SO_SNDBUF", get_int(sock, SO_SNDBUF),
		       "use no more than net.core.wmem_max allows");
	if (get_int(sock, SO_RCVBUF) >
	    buffer_max("/proc/sys/net/core/rmem_max"))
		refuse(fd, no, "SO_RCVBUF", get_int(sock, SO_RCVBUF),
		       "use no more than net.core.rmem_max allows");
	return 0;
}

static int add(struct socket_options *o, uint32_t name, const void *value,
	       size_t len, struct err *err)
{
	SocketOption **more =
		reallocarray(o->list, o->count + 1, sizeof(SocketOption *));
	SocketOption *one = malloc(sizeof(*one));
	uint8_t *copy = malloc(len);

	if (more)
		o->list = more;
	if (!more || !one || !copy) {
		free(one);
		free(copy);
		return err_num(err, ENOMEM, "options of a socket");
	}
	socket_option__init(one);
	one->level = SOL_SOCKET;
	one->name = name;
	one->value.data = memcpy(copy, value, len);
	one->value.len = len;
	o->list[o->count++] = one;
	return 0;
}

int socket_options_read(int fd, struct socket_options *ret, struct err *err)
{
	auto_close int fresh = socket(get_int(fd, SO_DOMAIN),
				      get_int(fd, SO_TYPE) | SOCK_CLOEXEC,
				      get_int(fd, SO_PROTOCOL));
	uint8_t now[OPTION_MAX], first[OPTION_MAX];
	int r = 0;

	*ret = (struct socket_options){ 0 };
	if (fresh < 0)
		return err_sys(err, "socket");
	for (size_t i = 0; i < ARRAY_SIZE(options) && r == 0; i++) {
		const struct option *o = &options[i];

		if (get(fd, o->name, now, o->len) &&
		    get(fresh, o->name, first, o->len) &&
		    memcmp(now, first, o->len) != 0)
			r = add(ret, o->name, now, o->len, err);
	}
	return r;
}

void socket_options_done(struct socket_options *o)
{
	for (size_t i = 0; i < o->count; i++) {
		free(o->list[i]->value.data);
		free(o->list[i]);
	}
	free(take_ptr(o->list));
	o->count = 0;
}

static const struct option *known(const SocketOption *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (o->level == SOL_SOCKET && o->name == options[i].name &&
		    o->value.len == options[i].len)
			return &options[i];
	return NULL;
}

static int set(int fd, const SocketOption *o, struct err *err)
{
	const bool buffer = o->name == SO_SNDBUF || o->name == SO_RCVBUF;
	uint8_t value[OPTION_MAX], now[OPTION_MAX];
	int size;

	if (!known(o))
		return err_set(err, -EBADMSG, "option %u of a socket", o->name);
	memcpy(value, o->value.data, o->value.len);
	memcpy(&size, value, sizeof(size));
	if (o->name == SO_PRIORITY && (size < 0 || size > USER_PRIORITY_MAX))
		return err_set(err, -EPERM, "SO_PRIORITY %d", size);
	if (buffer) {
		/* The kernel doubles what it is told. */
		size /= 2;
		memcpy(value, &size, sizeof(size));
	}
	if (setsockopt(fd, SOL_SOCKET, (int)o->name, value,
		       (socklen_t)o->value.len) < 0)
		return err_sys(err, "option %u of a socket", o->name);
	if (get(fd, o->name, now, (socklen_t)o->value.len) &&
	    memcmp(now, o->value.data, o->value.len) == 0)
		return 0;
	return err_set(err, -ENOTSUP,
		       "option %u of a socket: this node does not take what "
		       "it was%s",
		       o->name,
		       buffer ? " (net.core.wmem_max, net.core.rmem_max)" : "");
}

int socket_options_set(int fd, SocketOption *const *list, size_t count,
		       struct err *err)
{
	int r = 0;

	if (count > ARRAY_SIZE(options))
		return err_set(err, -EBADMSG, "%zu options of a socket", count);
	for (size_t i = 0; i < count && r == 0; i++)
		r = set(fd, list[i], err);
	return r;
}
