/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_MODEL_OBJECT_H
#define JOBCR_MODEL_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Identity of kernel objects in one part.  Whatever may be shared gets a
 * number > 0, found again by what it is.  Plain data: who knows how to tell
 * two objects apart hands in the key.
 */
enum object_kind {
	OBJECT_OPEN_FILE,   /* a = leader of a kcmp class (given by collect) */
	OBJECT_MAPPED_FILE, /* a = dev, b = inode, c = access mode */
	OBJECT_SHMEM,       /* a = dev, b = inode */
	OBJECT_GHOST,       /* a = dev, b = inode */
	OBJECT_PIPE,        /* a = inode */
	OBJECT_PTY,         /* a = index */
	OBJECT_DEAD,        /* a = dev, b = inode: of a process */
	OBJECT_SYSV_SHM,    /* a = id */
	OBJECT_MQUEUE,      /* a = dev, b = inode, c = 1: its record is put */
	OBJECT_CONNECTION,  /* a, b = inodes of its ends, 0: closed */
	OBJECT_SOCKET_PATH, /* a = inode of the socket that has it as a name */
	OBJECT_SOCKET_END,  /* a = inode of the end whose other end it is */
	OBJECT_DIRECTORY,   /* a = dev, b = inode */
	OBJECT_PRIVATE,     /* a = dev, b = inode; c = 1: a mount */
	OBJECT_WRITTEN,     /* a = dev, b = inode, c = 1: to be synced */
};

struct object_table;

int object_table_new(struct object_table **ret, struct err *err);
void object_table_free(struct object_table *t);

/* The number of an object; *ret_new tells whether it is named first now. */
int object_get(struct object_table *t, enum object_kind kind, uint64_t a,
	       uint64_t b, uint64_t c, uint32_t *ret, bool *ret_new,
	       struct err *err);

/* 0 when there is none. */
uint32_t object_find(const struct object_table *t, enum object_kind kind,
		     uint64_t a, uint64_t b, uint64_t c);

#endif
