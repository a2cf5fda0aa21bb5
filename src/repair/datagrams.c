// SPDX-License-Identifier: GPL-2.0-or-later
#include "repair/datagrams.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/queue_mark.h"
#include "repair/datagram.h"
#include "util/cleanup.h"

#define CHILD_STACK 65536

/* What the child works on, in memory that it shares. */
struct looking {
	int fd;
	size_t max_count, max_bytes;
	pid_t parent;
	uint8_t *data; /* DATAGRAM_MAX_BYTES */
	struct datagrams *ret;
	int result;
	struct err *err;
};

void datagrams_done(struct datagrams *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->list[i].data);
	free(d->list);
	memset(d, 0, sizeof(*d));
}

static int empty(struct datagrams *d, struct err *err)
{
	d->empty = true;
	return err_set(err, -ENOTSUP, "an empty datagram unread");
}

static int add(const struct looking *l, const union net_address *source,
	       size_t len, struct err *err)
{
	struct datagrams *d = l->ret;
	struct datagram *list =
		reallocarray(d->list, d->count + 1, sizeof(*list));
	uint8_t *data = malloc(len);

	if (list)
		d->list = list;
	if (!list || !data) {
		free(data);
		return err_num(err, ENOMEM, "datagram");
	}
	memcpy(data, l->data, len);
	list[d->count++] = (struct datagram){ *source, data, len };
	d->bytes += len;
	return 0;
}

static int look_at_one(const struct looking *l, struct err *err)
{
	struct datagrams *d = l->ret;
	union net_address source;
	size_t len;
	int r;

	r = datagram_peek(l->fd, d->bytes, l->data, &len, &source, err);
	if (r < 0)
		return r;
	/* It has no place of its own in a queue that is counted in bytes. */
	if (!len)
		return empty(d, err);
	if (d->count == l->max_count || d->bytes + len > l->max_bytes)
		return err_set(err, -ENOTSUP,
			       "more than %zu unread datagrams or %zu bytes",
			       l->max_count, l->max_bytes);
	return add(l, &source, len, err);
}

/* Who has asked is there no more: the job may run again. */
static bool is_orphan(const struct looking *l)
{
	return getppid() != l->parent;
}

static int look_at_all(const struct looking *l, struct err *err)
{
	int r = queue_mark_set(l->fd, err);

	if (r == -EPERM)
		return err_set(err, -ENOTSUP,
			       "unread datagrams and SO_LOCK_FILTER");
	while (r == 0 && !is_orphan(l))
		r = look_at_one(l, err);
	if (r == -ENOENT)
		r = l->ret->count ? 0 : empty(l->ret, err);
	if (!l->ret->empty)
		queue_mark_drop(l->fd);
	return r;
}

static int be_child(void *arg)
{
	struct looking *l = arg;

	/* Whoever kills the group that we are in means our parent. */
	(void)setpgid(0, 0);
	l->result = look_at_all(l, l->err);
	return 0;
}

static int run_child(struct looking *l, struct err *err)
{
	auto_free uint8_t *stack = malloc(CHILD_STACK);
	int status;
	pid_t pid;

	if (!stack)
		return err_num(err, ENOMEM, "stack");
	/* CLONE_VFORK: it has ended when this returns. */
	pid = clone(be_child, stack + CHILD_STACK,
		    CLONE_VM | CLONE_VFORK | SIGCHLD, l);
	if (pid < 0)
		return err_sys(err, "look at datagrams: clone");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "look at datagrams: waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(err, -EIO, "who looks at datagrams was killed");
	return l->result;
}

int datagrams_read(int fd, size_t max_count, size_t max_bytes,
		   struct datagrams *ret, struct err *err)
{
	auto_free uint8_t *data = malloc(DATAGRAM_MAX_BYTES);
	struct looking l = {
		.fd = fd,
		.max_count = max_count,
		.max_bytes = max_bytes,
		.parent = getpid(),
		.data = data,
		.ret = ret,
		.result = -EIO,
		.err = err,
	};

	memset(ret, 0, sizeof(*ret));
	if (!data)
		return err_num(err, ENOMEM, "datagrams");
	if (queue_marked(fd))
		return empty(ret, err);
	return run_child(&l, err);
}
