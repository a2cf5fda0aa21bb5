/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_UNIX_VIEW_H
#define JOBCR_RESOURCE_UNIX_VIEW_H

#include "kernel/unix_diag.h"
#include "resource/resource.h"
#include "resource/unix_service.h"

/* Unix sockets as a checkpoint sees them.  Helpers, no resource. */

int unix_option(int fd, int name); /* of SOL_SOCKET, an int; -1: unknown */

/* fmt goes on from "Unix socket ". */
void unix_refuse(const struct fd_view *fd, struct refusals *no, int type,
		 const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* "at /path", "at @abstract", "without a name" */
void unix_print_name(const struct unix_socket *s, char *ret, size_t room);

/* May the job's user be this? */
bool unix_is_user(const struct dump_ctx *ctx, uint32_t uid, uint32_t gid);

enum unix_relation_kind {
	UNIX_ALONE,
	UNIX_PAIR,     /* an end that is told who made the other, of the job */
	UNIX_CLOSED,   /* the other end is nobody's any more */
	UNIX_PENDING,  /* nobody has accepted it yet */
	UNIX_RECEIVER, /* of datagrams: one of the job is who gets them */
	UNIX_OUTSIDE,  /* with one that is not of the job */
};

struct unix_relation {
	enum unix_relation_kind kind;
	struct unix_socket own, peer; /* peer: what is known of it */
	uint32_t object;              /* of the peer, or of who listens; 0 */
	bool accepted;                /* so its name is that of who listened */
	bool unclear;                 /* nobody can tell which end was */
	bool made;                    /* SO_PEERCRED tells by whom */
	/* Of UNIX_OUTSIDE: what becomes of it. */
	enum unix_policy policy;
	const struct unix_service *service; /* that is so for, or NULL */
};

/* -ENOENT: of another network namespace.  unix_relation_done afterwards. */
int unix_relate(const struct dump_ctx *ctx, const struct fd_view *fd,
		struct unix_relation *ret, struct err *err);
void unix_relation_done(struct unix_relation *r);

/* It has a name that was given to it, by bind(2) or as it was needed. */
bool unix_has_own_name(const struct unix_relation *rel);

/* Who is made to be its other end sends again what waits in it. */
bool unix_sends_again(const struct unix_relation *rel);

struct ucred;
int unix_peer_ids(const struct fd_view *fd, struct ucred *ret, struct err *err);

/* The job's socket of datagrams with this name; 0: it has none. */
int unix_find_sender(const struct dump_ctx *ctx, const struct fd_view *fd,
		     const char *name, size_t len, uint32_t *ret,
		     struct err *err);

#endif
