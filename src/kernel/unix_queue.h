/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_UNIX_QUEUE_H
#define JOBCR_KERNEL_UNIX_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util/err.h"

/* What waits in a Unix socket to be read, without taking it out. */
#define UNIX_MESSAGE_MAX (2u << 20)

struct unix_message {
	uint8_t *data; /* owned, as all below */
	size_t len;
	int *fds; /* copies of those that travel with it */
	size_t nfds;
	struct ucred sender; /* pid 0: nobody is told */
	char from[108];      /* the name of the socket that sent it */
	size_t from_len;
};

struct unix_queue {
	struct unix_message *list;
	size_t count;
	const char *problem; /* why it cannot be known; NULL: it is */
	bool hides; /* there may be empty packets that cannot be seen */
};

/*
 * Nobody else may use the socket meanwhile: whoever has it stands still.
 * Where messages cannot be told apart otherwise, SO_PEEK_OFF is changed for
 * that time; a process of its own puts it back should the caller be killed.
 * fd is borrowed and does not listen; the result is owned by the caller, also
 * after a failure.  It may leave a mark: see queue_mark.h.
 */
struct unix_reader;
int unix_reader_new(struct unix_reader **ret, struct err *err);
int unix_queue_read(struct unix_reader *r, int fd, int type,
		    struct unix_queue *ret, struct err *err);
void unix_reader_free(struct unix_reader *r); /* NULL too */
void unix_queue_done(struct unix_queue *q);

/*
 * Empty packets that were looked at once are passed over: does what sender
 * has sent take more room than these messages, and nothing else, would?
 */
int unix_queue_hides(const struct unix_queue *q, int type, int sender,
		     bool *ret, struct err *err);

#endif
