/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/copy_out.h"

#include "util/pty_copy.h"
#include "util/queue_copy.h"

int copy_out(enum copy_kind kind, int fd, struct err *err)
{
	return kind == COPY_QUEUE ? queue_copy_file(fd, err)
				  : pty_copy_file(fd, err);
}
