/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/scatter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/cleanup.h"

#define LITTLE (64u << 10)
#define ROOM   (1u << 20)
#define PIECES 256u

struct scatter {
	pid_t pid;
	int32_t ns_pid;
	struct iovec pieces[PIECES];
	size_t npieces, used;
	uint8_t data[ROOM];
};

int scatter_new(struct scatter **ret, struct err *err)
{
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return err_num(err, ENOMEM, "contents");
	(*ret)->npieces = (*ret)->used = 0;
	return 0;
}

void scatter_free(struct scatter *s)
{
	free(s);
}

/* Pages that are not writable now, but were once: the long way round. */
static int put_forced(pid_t pid, int32_t ns_pid, uint64_t at,
		      const uint8_t *data, size_t len, struct err *err)
{
	char path[64];
	auto_close int fd = -EBADF;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "pid %d: memory", ns_pid);
	while (len > 0) {
		n = pwrite(fd, data, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "pid %d: contents of %#" PRIx64,
				       ns_pid, at);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_at_once(pid_t pid, int32_t ns_pid, uint64_t at,
		       const uint8_t *data, size_t len, struct err *err)
{
	struct iovec from, to;
	ssize_t n;

	while (len > 0) {
		from = (struct iovec){ (void *)data, len };
		to = (struct iovec){ (void *)at, len };
		n = process_vm_writev(pid, &from, 1, &to, 1, 0);
		if (n < 0 && errno == EFAULT)
			return put_forced(pid, ns_pid, at, data, len, err);
		if (n <= 0)
			return err_sys(err, "pid %d: contents of %#" PRIx64,
				       ns_pid, at);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int scatter_flush(struct scatter *s, struct err *err)
{
	const struct iovec from = { s->data, s->used };
	const uint8_t *data = s->data;
	int r = 0;

	/* Where one of them cannot be had so, all are put there singly. */
	if (!s->npieces ||
	    process_vm_writev(s->pid, &from, 1, s->pieces, s->npieces, 0) ==
		    (ssize_t)s->used) {
		s->npieces = s->used = 0;
		return 0;
	}
	for (size_t i = 0; i < s->npieces && r == 0; i++) {
		const struct iovec *p = &s->pieces[i];

		r = put_at_once(s->pid, s->ns_pid, (uint64_t)p->iov_base, data,
				p->iov_len, err);
		data += p->iov_len;
	}
	s->npieces = s->used = 0;
	return r;
}

int scatter_put(struct scatter *s, pid_t pid, int32_t ns_pid, uint64_t at,
		const uint8_t *data, size_t len, struct err *err)
{
	int r = 0;

	if (len > LITTLE)
		return put_at_once(pid, ns_pid, at, data, len, err);
	if (s->npieces == PIECES || len > ROOM - s->used || pid != s->pid)
		r = scatter_flush(s, err);
	if (r < 0)
		return r;
	s->pid = pid;
	s->ns_pid = ns_pid;
	s->pieces[s->npieces++] = (struct iovec){ (void *)at, len };
	memcpy(s->data + s->used, data, len);
	s->used += len;
	return 0;
}
