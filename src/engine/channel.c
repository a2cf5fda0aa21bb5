/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The puppet makes the socket pair and we take one end out of it: nothing
 * is inherited and nothing needs a name.  The kernel numbers received
 * descriptors from the lowest free one up, so the n-th of a batch is never
 * above the n-th of the free slots it is meant for; moving the last first
 * therefore never meets one that has not been moved yet.  Tables without
 * gaps need no move at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "engine/descriptors.h"
#include "util/cleanup.h"
#include "util/io.h"

#define BATCH PUPPET_LENT

/* In the puppet's buffer. */
struct mail {
	struct msghdr msg;
	struct iovec iov;
	uint64_t byte;
	uint8_t control[CMSG_SPACE(BATCH * sizeof(int))]
		__attribute__((aligned(8)));
};

static int raise_limit(struct puppet *p, int above, struct err *err)
{
	struct rlimit64 limit;
	uint64_t at = remote_buffer(p->task.remote);
	uint64_t wanted = (uint64_t)above + BATCH + 3;
	int64_t value;
	int r;

	r = puppet_call(p, "limit of open files", &value, err, __NR_prlimit64,
			0, RLIMIT_NOFILE, 0, at, 0, 0);
	if (r == 0)
		r = remote_read(p->task.remote, at, &limit, sizeof(limit), err);
	p->lent_max = PUPPET_LENT;
	if (r < 0 || limit.rlim_cur >= wanted)
		return r;
	if (limit.rlim_max < (uint64_t)above + 3)
		return err_set(err, -ENOTSUP,
			       "pid %d: descriptor %d, but no more than %llu "
			       "may be open here: raise the service's limit",
			       p->task.ns_pid, above - 1,
			       (unsigned long long)limit.rlim_max);
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	/* Besides the channel, and one that is opened again. */
	if (limit.rlim_cur - (uint64_t)above - 2 < PUPPET_LENT)
		p->lent_max = (size_t)(limit.rlim_cur - (uint64_t)above - 2);
	r = remote_write(p->task.remote, at, &limit, sizeof(limit), err);
	if (r < 0)
		return r;
	return puppet_call(p, "raise limit of open files", &value, err,
			   __NR_prlimit64, 0, RLIMIT_NOFILE, at, 0, 0, 0);
}

static int close_in(struct puppet *p, int fd, struct err *err)
{
	int64_t value;

	return puppet_call(p, "close", &value, err, __NR_close, (uint64_t)fd, 0,
			   0, 0, 0, 0);
}

static int take_end(struct puppet *p, int fd, struct err *err)
{
	auto_close int pidfd = pidfd_open(p->task.pid, 0);
	int own;

	if (pidfd < 0)
		return err_sys(err, "pid %d: pidfd", p->task.ns_pid);
	own = pidfd_getfd(pidfd, fd, 0);
	if (own < 0)
		return err_sys(err, "pid %d: take descriptor", p->task.ns_pid);
	p->channel = own;
	return 0;
}

int channel_open(struct puppet *p, int above, struct err *err)
{
	int64_t value;
	int pair[2], r;

	r = raise_limit(p, above, err);
	if (r == 0)
		r = puppet_call(p, "socketpair", &value, err, __NR_socketpair,
				AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				remote_buffer(p->task.remote), 0, 0);
	if (r == 0)
		r = remote_read(p->task.remote, remote_buffer(p->task.remote),
				pair, sizeof(pair), err);
	if (r == 0)
		r = take_end(p, pair[1], err);
	if (r == 0)
		r = close_in(p, pair[1], err);
	if (r < 0)
		return r;
	p->far_end = pair[0];
	if (pair[0] >= above)
		return 0;
	r = puppet_call(p, "move descriptor", &value, err, __NR_fcntl,
			(uint64_t)pair[0], F_DUPFD_CLOEXEC, (uint64_t)above, 0,
			0, 0);
	if (r < 0)
		return r;
	p->far_end = (int)value;
	return close_in(p, pair[0], err);
}

static int receive(struct puppet *p, int flags, size_t count, int *ret_fds,
		   struct err *err)
{
	const size_t size = count * sizeof(int);
	uint64_t at = remote_buffer(p->task.remote);
	struct cmsghdr head;
	struct mail mail;
	int64_t value;
	int r;

	memset(&mail, 0, sizeof(mail));
	mail.iov.iov_base = (void *)(at + offsetof(struct mail, byte));
	mail.iov.iov_len = 1;
	mail.msg.msg_iov = (void *)(at + offsetof(struct mail, iov));
	mail.msg.msg_iovlen = 1;
	mail.msg.msg_control = (void *)(at + offsetof(struct mail, control));
	mail.msg.msg_controllen = CMSG_SPACE(size);
	r = remote_write(p->task.remote, at, &mail, sizeof(mail), err);
	if (r == 0)
		r = puppet_call(p, "recvmsg", &value, err, __NR_recvmsg,
				(uint64_t)p->far_end, at,
				(uint64_t)(flags | MSG_DONTWAIT), 0, 0, 0);
	if (r == 0)
		r = remote_read(p->task.remote, at, &mail, sizeof(mail), err);
	if (r < 0)
		return r;
	memcpy(&head, mail.control, sizeof(head));
	if (value != 1 || (mail.msg.msg_flags & MSG_CTRUNC) ||
	    head.cmsg_len != CMSG_LEN(size))
		return err_set(err, -EMFILE,
			       "pid %d: not all descriptors arrived",
			       p->task.ns_pid);
	memcpy(ret_fds, mail.control + CMSG_LEN(0), size);
	return 0;
}

static int send_batch(const struct descriptors *d, struct puppet *p,
		      const struct slot *const *batch, size_t count,
		      int *ret_fds, struct err *err)
{
	int own[BATCH], r;

	for (size_t i = 0; i < count; i++) {
		own[i] = descriptors_get(d, batch[i]->object);
		if (own[i] < 0)
			return err_set(
				err, -ENOENT,
				"pid %d: fd %d: open file %u was not made",
				p->task.ns_pid, batch[i]->fd, batch[i]->object);
	}
	r = send_fds(p->channel, "", 1, own, count, err);
	if (r < 0)
		return err_wrap(err, r, "pid %d: send descriptors",
				p->task.ns_pid);
	return receive(p, batch[0]->cloexec ? MSG_CMSG_CLOEXEC : 0, count,
		       ret_fds, err);
}

static int fill_batch(const struct descriptors *d, struct puppet *p,
		      const struct slot *const *batch, size_t count,
		      struct err *err)
{
	int got[BATCH], r;
	int64_t value;

	if (count == 0)
		return 0;
	r = send_batch(d, p, batch, count, got, err);
	if (r < 0)
		return r;
	for (size_t i = count; i-- > 0;) {
		if (got[i] == batch[i]->fd)
			continue;
		if (got[i] > batch[i]->fd)
			return err_set(err, -EBADF,
				       "pid %d: a strange descriptor is open",
				       p->task.ns_pid);
		r = puppet_call(p, "dup3", &value, err, __NR_dup3,
				(uint64_t)got[i], (uint64_t)batch[i]->fd,
				batch[i]->cloexec ? O_CLOEXEC : 0, 0, 0, 0);
		if (r == 0)
			r = close_in(p, got[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_kind(const struct descriptors *d, struct puppet *p,
		     const struct slot *slots, size_t count, bool cloexec,
		     struct err *err)
{
	const struct slot *batch[BATCH];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < count; i++) {
		if (slots[i].cloexec != cloexec)
			continue;
		batch[n++] = &slots[i];
		if (n == BATCH) {
			r = fill_batch(d, p, batch, n, err);
			if (r < 0)
				return r;
			n = 0;
		}
	}
	return fill_batch(d, p, batch, n, err);
}

int channel_fill(const struct descriptors *d, struct puppet *p,
		 const struct slot *slots, size_t count, struct err *err)
{
	int r;

	r = fill_kind(d, p, slots, count, false, err);
	return r < 0 ? r : fill_kind(d, p, slots, count, true, err);
}

int channel_push(const struct descriptors *d, struct puppet *p,
		 const uint32_t *objects, size_t count, int *ret_fds,
		 struct err *err)
{
	struct slot slots[BATCH];
	const struct slot *batch[BATCH];

	for (size_t i = 0; i < count; i++) {
		slots[i] = (struct slot){ .object = objects[i],
					  .fd = -1,
					  .cloexec = true };
		batch[i] = &slots[i];
	}
	return send_batch(d, p, batch, count, ret_fds, err);
}

int channel_give(struct puppet *p, int fd, int *ret_fd, struct err *err)
{
	int r = send_fds(p->channel, "", 1, &fd, 1, err);

	return r < 0 ? r : receive(p, MSG_CMSG_CLOEXEC, 1, ret_fd, err);
}

int channel_close(struct puppet *p, struct err *err)
{
	int r;

	if (p->channel < 0)
		return 0;
	cleanup_close(&p->channel);
	p->channel = -1;
	r = close_in(p, p->far_end, err);
	p->far_end = -1;
	return r;
}
