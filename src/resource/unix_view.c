// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/unix_view.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/cleanup.h"

#define SHUT_DOWN     3 /* no reads, no writes */
#define AUTOMATIC_LEN 6 /* a zero byte and five digits: see unix(7) */

int unix_option(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

static const char *kind(int type)
{
	return type == SOCK_DGRAM       ? "Unix datagram socket"
	       : type == SOCK_SEQPACKET ? "Unix packet socket"
					: "Unix socket";
}

void unix_refuse(const struct fd_view *fd, struct refusals *no, int type,
		 const char *remedy, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd, remedy,
		     "%s %s", kind(type), what);
}

void unix_print_name(const struct unix_socket *s, char *ret, size_t room)
{
	if (!s->name_len)
		snprintf(ret, room, "without a name");
	else if (!s->name[0])
		snprintf(ret, room, "at @%.*s", (int)s->name_len - 1,
			 s->name + 1);
	else
		snprintf(ret, room, "at %.*s", (int)s->name_len, s->name);
}

bool unix_is_user(const struct dump_ctx *ctx, uint32_t uid, uint32_t gid)
{
	const struct user_id *owner = ctx->options->owner;

	if (!owner->uid)
		return true;
	for (size_t i = 0; i < owner->ngroups; i++)
		if (owner->groups[i] == gid)
			return uid == owner->uid;
	return uid == owner->uid && gid == owner->gid;
}

static bool same_name(const struct unix_socket *a, const struct unix_socket *b)
{
	return a->name_len == b->name_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 &&
	       a->has_file == b->has_file && a->file_ino == b->file_ino;
}

/* Who listens at this name? */
static bool has_listener(const struct unix_table *t,
			 const struct unix_socket *like)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i].listening && same_name(&t->list[i], like))
			return true;
	return false;
}

/* Who has it among those that wait to be accepted?  0: nobody. */
static uint32_t find_listener(const struct unix_table *t, uint32_t client)
{
	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < t->list[i].npending; k++)
			if (t->list[i].pending[k] == client)
				return t->list[i].inode;
	return 0;
}

/* In the table, or where the kernel's own is. */
static int find_socket(const struct unix_table *t, uint32_t inode,
		       struct unix_socket *ret, struct err *err)
{
	const struct unix_socket *known = unix_table_find(t, inode);

	return known ? unix_socket_copy(known, ret, err)
		     : unix_diag_find(inode, ret, err);
}

static bool is_automatic(const struct unix_socket *s)
{
	if (s->name_len != AUTOMATIC_LEN || s->name[0])
		return false;
	for (size_t i = 1; i < AUTOMATIC_LEN; i++)
		if (!isxdigit((unsigned char)s->name[i]))
			return false;
	return true;
}

/* Of a connection the end that was accepted has a name, always. */
static void find_accepted(const struct unix_table *t, struct unix_relation *ret)
{
	const struct unix_socket *s = &ret->own, *peer = &ret->peer;
	bool own, other;

	ret->accepted = s->name_len && !peer->name_len;
	if (!s->name_len || !peer->name_len)
		return;
	own = has_listener(t, s);
	other = has_listener(t, peer);
	ret->accepted = own;
	if (own != other)
		return;
	ret->accepted = is_automatic(peer);
	ret->unclear = is_automatic(peer) == is_automatic(s);
}

/* The kernel tells nothing of a closed one but its name. */
static void name_closed(const struct fd_view *fd, struct unix_socket *peer)
{
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);

	peer->type = (uint8_t)unix_option(fd->own_fd, SO_TYPE);
	if (getpeername(fd->own_fd, (struct sockaddr *)&un, &len) < 0 ||
	    len <= offsetof(struct sockaddr_un, sun_path))
		return;
	peer->name_len = len - offsetof(struct sockaddr_un, sun_path);
	if (un.sun_path[0])
		peer->name_len = strnlen(un.sun_path, peer->name_len);
	memcpy(peer->name, un.sun_path, peer->name_len);
}

/*
 * A stream whose other end is closed can neither read nor write.  Who can,
 * waits to be accepted; the table may be too old to know by whom.
 */
static int relate_closed(const struct dump_ctx *ctx, const struct fd_view *fd,
			 const struct unix_table *t, struct unix_relation *ret,
			 struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	struct unix_table now = { 0 };
	uint32_t listener = 0;
	int r = 0;

	ret->kind = UNIX_CLOSED;
	if (ret->own.type != SOCK_DGRAM)
		listener = find_listener(t, ret->own.inode);
	if (ret->own.type != SOCK_DGRAM && !listener &&
	    ret->own.shutdown != SHUT_DOWN) {
		r = unix_table_read(&now, err);
		listener = find_listener(&now, ret->own.inode);
		unix_table_done(&now);
		ret->unclear = !listener;
	}
	if (r == 0 && listener) {
		ret->kind = UNIX_PENDING;
		ret->object =
			e->socket_object(e->arg, fd->stat->st_dev, listener);
		return 0;
	}
	name_closed(fd, &ret->peer);
	return r;
}

int unix_peer_ids(const struct fd_view *fd, struct ucred *ret, struct err *err)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd->own_fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0
		       ? err_sys(err, "SO_PEERCRED")
		       : 0;
}

/* Who only called connect(2) for datagrams has made nothing. */
static int find_maker(const struct fd_view *fd, struct unix_relation *ret,
		      struct err *err)
{
	struct ucred ids;
	int r = unix_peer_ids(fd, &ids, err);

	ret->made = r == 0 && ids.uid != (uid_t)-1;
	return r;
}

/*
 * Of a service as the table says, which has a path: an abstract name is
 * everybody's to take.  Of any other one nothing but to close it, if asked to.
 */
static void choose_policy(const struct dump_ctx *ctx, struct unix_relation *ret)
{
	const struct unix_socket *peer = &ret->peer;

	if (peer->name_len)
		ret->service = unix_service_find(peer->name, peer->name_len,
						 ret->own.type);
	if (ret->service && peer->has_file)
		ret->policy = ret->service->policy;
	if (ret->policy == UNIX_REFUSE && ctx->options->reset_peers)
		ret->policy = UNIX_CLOSE;
}

static int relate_open(const struct dump_ctx *ctx, const struct fd_view *fd,
		       const struct unix_table *t, struct unix_relation *ret,
		       struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	int r = find_socket(t, ret->own.peer, &ret->peer, err);

	/* Closed meanwhile. */
	if (r == -ENOENT)
		return relate_closed(ctx, fd, t, ret, err);
	ret->object = e->socket_object(e->arg, fd->stat->st_dev, ret->own.peer);
	if (!ret->object) {
		ret->kind = UNIX_OUTSIDE;
		choose_policy(ctx, ret);
	} else if (ret->own.type == SOCK_DGRAM &&
		   (ret->peer.peer != ret->own.inode || !ret->made)) {
		ret->kind = UNIX_RECEIVER;
	} else {
		ret->kind = UNIX_PAIR;
	}
	return r;
}

int unix_relate(const struct dump_ctx *ctx, const struct fd_view *fd,
		struct unix_relation *ret, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const struct unix_table *t = e->unix_sockets(e->arg, err);
	int r;

	*ret = (struct unix_relation){ .kind = UNIX_ALONE };
	if (!t)
		return err->code;
	r = find_socket(t, (uint32_t)fd->stat->st_ino, &ret->own, err);
	if (r == 0)
		r = find_maker(fd, ret, err);
	if (r == 0 && ret->own.has_peer)
		r = ret->own.peer ? relate_open(ctx, fd, t, ret, err)
				  : relate_closed(ctx, fd, t, ret, err);
	if (r == 0 && ret->own.type != SOCK_DGRAM &&
	    (ret->kind == UNIX_PAIR || ret->kind == UNIX_CLOSED ||
	     ret->policy == UNIX_CLOSE))
		find_accepted(t, ret);
	return r;
}

void unix_relation_done(struct unix_relation *r)
{
	unix_socket_done(&r->own);
	unix_socket_done(&r->peer);
}

int unix_find_sender(const struct dump_ctx *ctx, const struct fd_view *fd,
		     const char *name, size_t len, uint32_t *ret,
		     struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const struct unix_table *t = e->unix_sockets(e->arg, err);

	*ret = 0;
	if (!t)
		return err->code;
	/* A path may come with the zero behind it. */
	if (len && name[0])
		len = strnlen(name, len);
	for (size_t i = 0; i < t->count && !*ret; i++)
		if (t->list[i].type == SOCK_DGRAM &&
		    t->list[i].name_len == len &&
		    !memcmp(t->list[i].name, name, len))
			*ret = e->socket_object(e->arg, fd->stat->st_dev,
						t->list[i].inode);
	return 0;
}

bool unix_has_own_name(const struct unix_relation *rel)
{
	return rel->own.name_len && !rel->accepted;
}

bool unix_sends_again(const struct unix_relation *rel)
{
	return rel->kind == UNIX_PAIR || rel->kind == UNIX_CLOSED ||
	       (rel->kind == UNIX_OUTSIDE && rel->policy == UNIX_CLOSE);
}
