// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/queue_copy.h"

#include <errno.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* Long ago: nothing waits. */
static const struct timespec at_once = { 0, 0 };

int queue_state_read(int queue, struct queue_state *ret, struct err *err)
{
	char text[256];
	const char *bytes, *notified;
	ssize_t n = pread(queue, text, sizeof(text) - 1, 0);

	if (n < 0)
		return err_sys(err, "state of a message queue");
	text[n] = '\0';
	bytes = strstr(text, "QSIZE:");
	notified = strstr(text, "NOTIFY_PID:");
	if (!bytes || !notified)
		return err_set(err, -ENODATA, "message queue: \"%s\"", text);
	ret->bytes = strtoull(bytes + strlen("QSIZE:"), NULL, 10);
	ret->notified = strtoull(notified + strlen("NOTIFY_PID:"), NULL, 10);
	return 0;
}

struct taken {
	uint8_t *data;
	size_t len, room, size; /* of each message at the most */
};

static int take_one(int queue, struct taken *t)
{
	struct queue_copy head;
	unsigned int priority;
	ssize_t n;

	if (t->room - t->len < sizeof(head) + t->size)
		return 0;
	do
		n = syscall(SYS_mq_timedreceive, queue,
			    t->data + t->len + sizeof(head), t->size, &priority,
			    &at_once);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return 0;
	head = (struct queue_copy){ priority, (uint32_t)n };
	memcpy(t->data + t->len, &head, sizeof(head));
	t->len += sizeof(head) + (size_t)n;
	return 1;
}

/*
 * Its memory was there a moment ago, and so was its room: should a job run
 * that stood still, it makes room again.
 */
static int put_back(int queue, const uint8_t *data, size_t len,
		    unsigned int priority)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	long r;

	while ((r = syscall(SYS_mq_timedsend, queue, data, len, priority,
			    &at_once)) < 0 &&
	       (errno == EINTR || errno == ENOMEM || errno == ETIMEDOUT ||
		errno == EAGAIN))
		if (errno != EINTR)
			nanosleep(&nap, NULL);
	return r < 0 ? -errno : 0;
}

static int put_all_back(int queue, const struct taken *t, struct err *err)
{
	struct queue_copy head;
	int r = 0, first = 0;

	for (size_t at = 0; at < t->len; at += sizeof(head) + head.len) {
		memcpy(&head, t->data + at, sizeof(head));
		r = put_back(queue, t->data + at + sizeof(head), head.len,
			     head.priority);
		if (r < 0 && !first)
			first = r;
	}
	return first ? err_num(err, first, "put messages back") : 0;
}

static int make_room(int queue, struct taken *ret, struct err *err)
{
	struct queue_state state;
	struct mq_attr attr;
	int r = queue_state_read(queue, &state, err);

	if (r < 0)
		return r;
	if (mq_getattr((mqd_t)queue, &attr) < 0)
		return err_sys(err, "mq_getattr");
	if (state.notified || state.bytes > QUEUE_COPY_BYTES ||
	    attr.mq_msgsize > (long)QUEUE_COPY_MESSAGE)
		return err_set(err, -ENOTSUP,
			       "messages of %llu bytes, of %ld at the most, "
			       "process %llu to be notified",
			       (unsigned long long)state.bytes, attr.mq_msgsize,
			       (unsigned long long)state.notified);
	ret->size = (size_t)attr.mq_msgsize;
	ret->room = state.bytes + ret->size +
		    (size_t)(attr.mq_curmsgs + 1) * sizeof(struct queue_copy);
	/* All of it is there before anything is taken out. */
	ret->data = mmap(NULL, ret->room, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return ret->data == MAP_FAILED ? err_sys(err, "room for messages") : 0;
}

int queue_copy_file(int queue, struct err *err)
{
	auto_close int fd = memfd_create("jobcr-queue", MFD_CLOEXEC);
	struct taken t = { 0 };
	int r;

	if (fd < 0)
		return err_sys(err, "room for a copy");
	r = make_room(queue, &t, err);
	if (r < 0)
		return r;
	while (take_one(queue, &t))
		;
	r = put_all_back(queue, &t, err);
	if (r == 0)
		r = write_all(fd, t.data, t.len, err);
	(void)munmap(t.data, t.room);
	return r < 0 ? r : take_fd(&fd);
}
