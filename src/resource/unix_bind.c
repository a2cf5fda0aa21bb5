// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bind(2) makes a file where the caller is, with what the caller is.  So a
 * child does it, that becomes what is needed and is gone afterwards: the
 * socket is the same in both.
 */
#include "resource/unix_bind.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* What the child tells; on success a descriptor comes with it. */
struct outcome {
	int error; /* errno */
	char step[60];
};

struct binding {
	int fd;
	pid_t worker; /* whose child makes it */
	struct sockaddr_un addr;
	socklen_t len;
	const struct restore_ctx *ctx;
	const UnixFile *file;     /* NULL: apart */
	char directory[PATH_MAX]; /* where a relative path of it begins */
};

int unix_address(const ProtobufCBinaryData *name, struct sockaddr_un *ret,
		 socklen_t *ret_len, struct err *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!name->len || name->len > sizeof(ret->sun_path) ||
	    (name->data[0] && memchr(name->data, 0, name->len)))
		return err_set(err, -EBADMSG, "name of a socket");
	memcpy(ret->sun_path, name->data, name->len);
	*ret_len =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + name->len);
	return 0;
}

void unix_address_of_path(int fd, struct sockaddr_un *ret, socklen_t *ret_len)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d", fd);
	*ret_len = sizeof(*ret);
}

/* The path with a zero behind it, which sun_path may lack. */
static void path_of(const struct binding *b, char ret[109])
{
	memcpy(ret, b->addr.sun_path, sizeof(b->addr.sun_path));
	ret[sizeof(b->addr.sun_path)] = '\0';
}

static int failed(struct outcome *o, const char *step)
{
	o->error = errno;
	snprintf(o->step, sizeof(o->step), "%s", step);
	return -1;
}

static int make_parents(const char *path, mode_t mode, struct outcome *o)
{
	char part[109];

	for (const char *at = path; (at = strchr(at, '/')); at++) {
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (*part && mkdir(part, mode) < 0 && errno != EEXIST)
			return failed(o, "make its directory");
	}
	return 0;
}

static int enter_own_root(struct outcome *o)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/tmp", "tmpfs", 0, "size=1m,mode=0777") < 0)
		return failed(o, "a file system for its name");
	if (chroot("/tmp") < 0 || chdir("/") < 0)
		return failed(o, "chroot");
	umask(0);
	return 0;
}

static int bind_apart(const struct binding *b, struct outcome *o)
{
	char path[109];

	path_of(b, path);
	if (enter_own_root(o) < 0 || make_parents(path, 0777, o) < 0)
		return -1;
	if (bind(b->fd, (const struct sockaddr *)&b->addr, b->len) < 0)
		return failed(o, "bind");
	return open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/*
 * The user may stop who has the user's ids: the worker has a deadline, and
 * with it ends whom it waits for.  A change of ids would take that back.
 */
static int end_with(pid_t parent, struct outcome *o)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return failed(o, "end with the worker");
	/* It may be dead already. */
	if (getppid() != parent)
		_exit(1);
	return 0;
}

static int become_user(const struct binding *b, struct outcome *o)
{
	const struct restore_owner *owner = b->ctx->owner;

	if (setgroups(owner->ngroups, owner->groups) < 0 ||
	    setresgid(owner->gid, owner->gid, owner->gid) < 0 ||
	    setresuid(owner->uid, owner->uid, owner->uid) < 0)
		return failed(o, "become the user");
	return end_with(b->worker, o);
}

static int enter_root(const struct binding *b, struct outcome *o)
{
	if (fchdir(b->ctx->root_fd) < 0 || chroot(".") < 0)
		return failed(o, "root directory");
	if (become_user(b, o) < 0)
		return -1;
	return chdir(b->directory) < 0 ? failed(o, "chdir") : 0;
}

struct search {
	uint32_t inode;
	bool found;
};

static int is_file(void *arg, const struct unix_socket *s, struct err *err)
{
	struct search *search = arg;

	(void)err;
	search->found |= s->has_file && s->file_ino == search->inode;
	return search->found;
}

/* Does a socket of this node have this file?  Then, or in doubt, it stays. */
static bool is_in_use(const struct stat *st)
{
	struct search search = { .inode = (uint32_t)st->st_ino };
	struct err ignored;

	return unix_diag_all(false, is_file, &search, &ignored) < 0 ||
	       search.found;
}

static int make_room(const struct binding *b, const char *path,
		     struct outcome *o)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : failed(o, "look at its path");
	if (!S_ISSOCK(st.st_mode) || is_in_use(&st) ||
	    (b->ctx->owner->uid && st.st_uid != b->ctx->owner->uid)) {
		errno = EEXIST;
		return failed(o, "what is at its path is another's");
	}
	return unlink(path) < 0 ? failed(o, "unlink what was left") : 0;
}

/* A group that the user has not got is not needed to reach it. */
static int bind_there(const struct binding *b, struct outcome *o)
{
	const mode_t mode = b->file->mode & 07777;
	char path[109];

	path_of(b, path);
	if (enter_root(b, o) < 0 || make_room(b, path, o) < 0)
		return -1;
	/* Programs make one for it in a /tmp that is the node's own. */
	if (make_parents(path, 0700, o) < 0)
		return -1;
	umask(~mode & 0777);
	if (bind(b->fd, (const struct sockaddr *)&b->addr, b->len) < 0)
		return failed(o, "bind");
	if (lchown(path, b->file->uid, b->file->gid) < 0)
		return failed(o, "chown");
	if (chmod(path, mode) < 0)
		return failed(o, "chmod");
	return open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static void be_child(const struct binding *b, int channel)
{
	struct outcome o = { 0 };
	struct err ignored;
	int fd = -1;

	if (end_with(b->worker, &o) == 0)
		fd = b->file ? bind_there(b, &o) : bind_apart(b, &o);

	if (fd < 0 && !o.error)
		failed(&o, "open its path");
	(void)send_fds(channel, &o, sizeof(o), &fd, o.error ? 0 : 1, &ignored);
	_exit(0);
}

static int run_child(struct binding *b, int *ret_path, struct err *err)
{
	auto_close int ours = -EBADF, theirs = -EBADF;
	struct outcome o = { 0 };
	size_t len, count = 1;
	int ends[2], fd = -1, r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "socketpair");
	ours = ends[0];
	theirs = ends[1];
	b->worker = getpid();
	pid = fork();
	if (pid == 0)
		be_child(b, theirs);
	if (pid < 0)
		return err_sys(err, "fork");
	cleanup_close(&theirs);
	(void)take_fd(&theirs);
	r = recv_fds(ours, &o, sizeof(o), &len, &fd, &count, err);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	if (len != sizeof(o) || o.error || !count)
		return err_num(err, o.error ? o.error : EIO, "%.59s", o.step);
	*ret_path = fd;
	return 0;
}

static int find_directory(struct binding *b, struct err *err)
{
	const struct restore_engine *e = b->ctx->engine;
	const ProtobufCBinaryData *was = &b->file->directory;
	char path[PATH_MAX];

	if (was->len >= sizeof(path))
		return err_set(err, -EBADMSG, "directory of %zu bytes",
			       was->len);
	memcpy(path, was->data, was->len);
	path[was->len] = '\0';
	return e->map_path(e->arg, path, b->directory, err);
}

/* Of relative ones the directory has moved. */
static int find_address(struct binding *b, const ProtobufCBinaryData *name,
			struct err *err)
{
	const struct restore_engine *e = b->ctx->engine;
	char was[109], now[PATH_MAX];
	size_t len;
	int r = unix_address(name, &b->addr, &b->len, err);

	if (r < 0 || b->addr.sun_path[0] != '/')
		return r;
	path_of(b, was);
	r = e->map_path(e->arg, was, now, err);
	if (r < 0 || !strcmp(was, now))
		return r;
	len = strlen(now);
	if (len > sizeof(b->addr.sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "now %s: a socket's name has at most %zu bytes",
			       now, sizeof(b->addr.sun_path));
	return unix_address(&(ProtobufCBinaryData){ len, (uint8_t *)now },
			    &b->addr, &b->len, err);
}

static int bind_name(struct binding *b, const ProtobufCBinaryData *name,
		     int *ret_path, struct err *err)
{
	int r = b->file ? find_directory(b, err) : 0;

	if (r == 0)
		r = find_address(b, name, err);
	if (r < 0)
		return r;
	if (name->data[0])
		r = run_child(b, ret_path, err);
	else if (bind(b->fd, (struct sockaddr *)&b->addr, b->len) < 0)
		r = err_sys(err, "bind");
	if (r == 0)
		return 0;
	return err_wrap(err, r, "%s%.*s", name->data[0] ? "" : "@",
			(int)name->len - !name->data[0],
			(const char *)name->data + !name->data[0]);
}

int unix_bind_apart(const struct restore_ctx *ctx, int fd,
		    const ProtobufCBinaryData *name, int *ret_path,
		    struct err *err)
{
	struct binding b = { .fd = fd, .ctx = ctx };

	*ret_path = -1;
	return bind_name(&b, name, ret_path, err);
}

int unix_bind_path(const struct restore_ctx *ctx, int fd,
		   const ProtobufCBinaryData *name, const UnixFile *file,
		   int *ret_path, struct err *err)
{
	struct binding b = { .fd = fd, .ctx = ctx, .file = file };

	*ret_path = -1;
	return bind_name(&b, name, ret_path, err);
}
