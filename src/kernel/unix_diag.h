/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_UNIX_DIAG_H
#define JOBCR_KERNEL_UNIX_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What the kernel tells about the Unix sockets of this network namespace,
 * whoever has them (sock_diag(7)).
 */
#define UNIX_NAME_MAX 108

struct unix_socket {
	uint32_t inode;
	uint8_t type;     /* SOCK_* */
	bool listening;   /* and so it takes connections */
	bool has_peer;    /* it is or was connected */
	uint32_t peer;    /* inode, 0: that one is closed, or not accepted */
	uint8_t shutdown; /* 1: no reads, 2: no writes */
	uint32_t backlog; /* of a listening one */
	char name[UNIX_NAME_MAX];    /* abstract ones begin with a NUL */
	size_t name_len;             /* 0: it has none */
	bool has_file;               /* its name is a path, or was */
	uint32_t file_dev, file_ino; /* as the kernel has them, cut */
	uint32_t *pending;           /* clients that wait, by inode; owned */
	size_t npending;
};

/*
 * One of them; -ENOENT: it is not there, or of another network namespace.
 * unix_socket_done afterwards.
 */
int unix_diag_find(uint32_t inode, struct unix_socket *ret, struct err *err);
int unix_socket_copy(const struct unix_socket *from, struct unix_socket *ret,
		     struct err *err);
void unix_socket_done(struct unix_socket *s);

/* All of them, or all that listen: until look returns other than 0. */
typedef int (*unix_look_fn)(void *arg, const struct unix_socket *s,
			    struct err *err);
int unix_diag_all(bool listening, unix_look_fn look, void *arg,
		  struct err *err);

/*
 * All of them at once, to be asked often.  One that is not found here may be
 * there: the kernel's list moves while it is read.
 */
struct unix_table {
	struct unix_socket *list; /* by inode */
	size_t count;
};
int unix_table_read(struct unix_table *ret, struct err *err);
const struct unix_socket *unix_table_find(const struct unix_table *t,
					  uint32_t inode);
void unix_table_done(struct unix_table *t);

#endif
