/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_WATCHES_H
#define JOBCR_UTIL_WATCHES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Descriptors that mark what processes write (kernel/written.h), with the
 * generation at whose cut nothing was written yet.  They travel through a
 * socket that whoever keeps them does not have to read: with its end they end.
 */
#define WATCHES_MAX    200
#define WATCHES_DIGEST 32

struct watch {
	int32_t pid; /* outer */
	uint32_t unused;
	uint64_t start_time; /* as /proc/PID/stat has it */
};

struct watches {
	uint32_t magic;
	uint32_t generation;
	uint8_t digest[WATCHES_DIGEST]; /* of its meta stream */
	uint64_t count;
	struct watch v[WATCHES_MAX]; /* of none, first: watches_lost */
	int fds[WATCHES_MAX];        /* of v; not in the message */
};

/* A socket that holds them; they stay with the caller too. */
int watches_pack(const struct watches *w, int *ret_fd, struct err *err);

/* The same, through a socket that the caller has. */
int watches_send(const struct watches *w, int sock, struct err *err);

/* Take them out again; -EBADMSG: none of ours. */
int watches_unpack(int fd, struct watches *ret, struct err *err);

/* That of a process; -1: it has none. */
int watches_find(const struct watches *w, pid_t pid, uint64_t start_time);

/* Taken: fd, also when there is no room, which is no error. */
void watches_add(struct watches *w, pid_t pid, uint64_t start_time, int fd);

/* Of those that are not wanted any more. */
void watches_drop(struct watches *w, pid_t pid);

/*
 * Why there are none that tell what was written since a generation; 0: there is
 * nothing to be said.  writer: who wrote past them; 0: an attempt has died.
 */
struct watches_lost {
	uint32_t generation;
	pid_t writer;
};

/* Close all; the reason travels as they do. */
void watches_lose(struct watches *w, const struct watches_lost *why);
struct watches_lost watches_why(const struct watches *w);

/* Close all. */
void watches_done(struct watches *w);

#endif
