/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/copy_out.h"

#include <errno.h>

#include "util/eventfd_copy.h"
#include "util/keep_tracer.h"
#include "util/pty_copy.h"
#include "util/queue_copy.h"

static int copy(enum copy_kind kind, int fd, struct err *err)
{
	switch (kind) {
	case COPY_PTY:
		return pty_copy_file(fd, err);
	case COPY_QUEUE:
		return queue_copy_file(fd, err);
	case COPY_EVENTFD:
		return eventfd_copy_file(fd, err);
	}
	return err_set(err, -ENOTSUP, "a copy of kind %d", (int)kind);
}

int copy_out(enum copy_kind kind, int fd, pid_t tracer, struct err *err)
{
	int r = tracer ? keep_tracer_begin(tracer, err) : 0;

	if (r < 0)
		return r;
	r = copy(kind, fd, err);
	if (tracer)
		keep_tracer_end(tracer);
	return r;
}
