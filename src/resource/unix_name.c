// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of Unix sockets.  A path may lead to the socket's file still; or the
 * file was removed, or replaced: then the socket has its name, and nobody can
 * connect to it by that.  Connections that nobody has accepted yet are made
 * again, in their order.
 */
#include "resource/unix_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "images/tags.h"
#include "images/unix.pb-c.h"
#include "resource/file_image.h"
#include "resource/unix_bind.h"
#include "resource/unix_make.h"
#include "resource/unix_view.h"
#include "util/cleanup.h"

static bool is_path(const struct unix_socket *s)
{
	return s->name_len && s->name[0];
}

static bool is_relative(const struct unix_socket *s)
{
	return is_path(s) && s->name[0] != '/';
}

/* Where relative paths begin, if they begin where the process is now. */
static int directory_of(const struct fd_view *fd, const struct unix_socket *s,
			char **ret, struct err *err)
{
	if (is_relative(s))
		return proc_read_link(fd->task->proc_fd, "cwd", ret, err);
	*ret = strdup("/");
	return *ret ? 0 : err_num(err, ENOMEM, "directory");
}

/* The file that the path leads to, if it is the socket's; 1: it is not. */
static int find_file(const struct fd_view *fd, const struct unix_socket *s,
		     const char *directory, struct stat *ret, struct err *err)
{
	auto_close int found = -EBADF;
	auto_free char *path = NULL;
	struct err ignored;

	if (asprintf(&path, "%s/%.*s", directory, (int)s->name_len, s->name) <
	    0) {
		path = NULL;
		return err_num(err, ENOMEM, "path");
	}
	found = file_open_for_task(fd->task, path, O_PATH | O_NOFOLLOW,
				   &ignored);
	if (found < 0)
		return 1;
	if (fstat(found, ret) < 0)
		return err_sys(err, "%s", path);
	return !S_ISSOCK(ret->st_mode) || (uint32_t)ret->st_ino != s->file_ino;
}

static int check_file(const struct dump_ctx *ctx, const struct fd_view *fd,
		      const struct unix_socket *s, struct refusals *no,
		      struct err *err)
{
	auto_free char *directory = NULL;
	struct stat st;
	char name[128];
	int r;

	r = directory_of(fd, s, &directory, err);
	if (r == 0)
		r = find_file(fd, s, directory, &st, err);
	unix_print_name(s, name, sizeof(name));
	if (r == 1 && is_relative(s))
		unix_refuse(fd, no, s->type,
			    "let the program use an absolute path",
			    "%s, which does not lead to it from %s", name,
			    directory);
	else if (r == 0 && !unix_is_user(ctx, st.st_uid, st.st_gid))
		unix_refuse(fd, no, s->type, "let the job make it",
			    "%s, a file of user %u and group %u", name,
			    st.st_uid, st.st_gid);
	return r < 0 ? r : 0;
}

/* Who waits says so too.  It passes: it counts only where nothing moves. */
static void check_pending(const struct dump_ctx *ctx, const struct fd_view *fd,
			  const struct unix_socket *s, struct refusals *no)
{
	const struct dump_engine *e = ctx->engine;
	char name[128];

	if (!fd->task->leader)
		return;
	unix_print_name(s, name, sizeof(name));
	for (size_t i = 0; i < s->npending; i++) {
		if (e->socket_object(e->arg, fd->stat->st_dev, s->pending[i]))
			continue;
		unix_refuse(fd, no, s->type, "let the program accept it",
			    "%s, with a connection not accepted yet of %s",
			    name,
			    s->pending[i] ? "somebody outside the job"
					  : "one that is closed");
		refusals_passes(no);
		return;
	}
}

int unix_name_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		    const struct unix_socket *s, struct refusals *no,
		    struct err *err)
{
	check_pending(ctx, fd, s, no);
	return is_path(s) ? check_file(ctx, fd, s, no, err) : 0;
}

static int fill_listener(const struct dump_ctx *ctx, const struct fd_view *fd,
			 UnixIds *ids, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd->own_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return err_sys(err, "SO_PEERCRED");
	ids->pid = e->ns_pid(e->arg, cred.pid);
	if (!ids->pid)
		ids->pid = fd->task->ns_pid;
	ids->uid = cred.uid;
	ids->gid = cred.gid;
	return 0;
}

static void fill_file(UnixNameRecord *rec, UnixFile *file,
		      const struct stat *st, const char *directory)
{
	file->directory.data = (uint8_t *)directory;
	file->directory.len = strlen(directory);
	file->mode = st->st_mode & 07777;
	file->uid = st->st_uid;
	file->gid = st->st_gid;
	rec->file = file;
}

static int put_name(const struct dump_ctx *ctx, const struct fd_view *fd,
		    const struct unix_socket *s, UnixNameRecord *rec,
		    struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_free uint32_t *pending = calloc(s->npending + 1, sizeof(*pending));
	UnixIds listener = UNIX_IDS__INIT;
	int r = 0;

	if (!pending)
		return err_num(err, ENOMEM, "connections that wait");
	for (size_t i = 0; i < s->npending; i++)
		pending[i] = e->socket_object(e->arg, fd->stat->st_dev,
					      s->pending[i]);
	rec->pending = pending;
	rec->n_pending = s->npending;
	if (s->listening) {
		rec->has_backlog = 1;
		rec->backlog = s->backlog;
		rec->listener = &listener;
		r = fill_listener(ctx, fd, &listener, err);
	}
	return r < 0 ? r : img_put(ctx->out, TAG_UNIX_NAME, &rec->base, err);
}

int unix_name_put(const struct dump_ctx *ctx, const struct fd_view *fd,
		  const struct unix_socket *s, struct err *err)
{
	UnixNameRecord rec = UNIX_NAME_RECORD__INIT;
	UnixFile file = UNIX_FILE__INIT;
	auto_free char *directory = NULL;
	struct stat st;
	int r;

	rec.socket = fd->object;
	rec.name.data = (uint8_t *)s->name;
	rec.name.len = s->name_len;
	r = object_get(ctx->objects, OBJECT_SOCKET_PATH, s->inode, 0, 0,
		       &rec.path_object, NULL, err);
	if (r == 0 && is_path(s)) {
		r = directory_of(fd, s, &directory, err);
		if (r == 0)
			r = find_file(fd, s, directory, &st, err);
		if (r == 0)
			fill_file(&rec, &file, &st, directory);
	}
	return r < 0 ? r : put_name(ctx, fd, s, &rec, err);
}

static int give_name(struct restore_ctx *ctx, const UnixNameRecord *rec, int fd,
		     struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int path = -1, r;

	if (!rec->name.len)
		return err_set(err, -EBADMSG, "an empty name");
	if (rec->file && rec->name.data[0])
		r = unix_bind_path(ctx, fd, &rec->name, rec->file, &path, err);
	else
		r = unix_bind_apart(ctx, fd, &rec->name, &path, err);
	if (r < 0 || path < 0)
		return r;
	r = e->set_fd(e->arg, rec->path_object, path, err);
	if (r < 0)
		close(path);
	return r;
}

static int connect_pending(struct restore_ctx *ctx, const UnixNameRecord *rec,
			   uint32_t client, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const UnixSocketRecord *c = (const UnixSocketRecord *)e->find(
		e->arg, TAG_UNIX_SOCKET, client);

	if (!c || !c->waits || c->peer || c->type == SOCK_DGRAM)
		return err_set(err, -EBADMSG, "socket %u does not wait",
			       client);
	return unix_connect(
		ctx, c->waits, e->get_fd(e->arg, client),
		rec->name.data[0] ? e->get_fd(e->arg, rec->path_object) : -1,
		&rec->name, err);
}

int unix_name_restore(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err)
{
	const UnixNameRecord *rec = (const UnixNameRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int fd, r;

	(void)task;
	(void)thread;
	if (!e->find(e->arg, TAG_UNIX_SOCKET, rec->socket))
		return err_set(err, -EBADMSG, "name of no socket %u",
			       rec->socket);
	fd = e->get_fd(e->arg, rec->socket);
	r = give_name(ctx, rec, fd, err);
	if (r == 0 && rec->has_backlog && !rec->listener)
		r = err_set(err, -EBADMSG, "nobody listens");
	if (r == 0 && rec->has_backlog)
		r = unix_listen(ctx, rec->listener, fd, rec->backlog, err);
	for (size_t i = 0; i < rec->n_pending && r == 0; i++)
		r = connect_pending(ctx, rec, rec->pending[i], err);
	return r;
}
