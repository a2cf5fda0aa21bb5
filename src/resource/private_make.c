// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/private_make.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/limits.h"
#include "images/tags.h"
#include "kernel/private_mount.h"
#include "resource/file_image.h"
#include "resource/file_local.h"
#include "resource/ghost_make.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

/* An entry, and the directory that it is to be in. */
struct place {
	const PrivateEntryRecord *rec;
	const PrivateDirRecord *dir;
	int root_fd;                   /* borrowed */
	int parent;                    /* O_PATH */
	char path[PATH_MAX_BYTES + 1]; /* below root_fd */
	const char *name;              /* the last part of it */
};

static bool is_text(const ProtobufCBinaryData *data)
{
	return data->len && data->len <= PATH_MAX_BYTES &&
	       !memchr(data->data, '\0', data->len);
}

static bool is_part(const char *part, size_t len)
{
	return len && len <= PRIVATE_NAME_BYTES &&
	       !(part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')));
}

/* Nothing but names, with a slash between two. */
static bool take_path(const ProtobufCBinaryData *data,
		      char ret[PATH_MAX_BYTES + 1])
{
	unsigned int depth = 0;
	size_t len;

	if (!is_text(data))
		return false;
	memcpy(ret, data->data, data->len);
	ret[data->len] = '\0';
	for (const char *at = ret;; at += len + 1) {
		len = strcspn(at, "/");
		if (!is_part(at, len) || depth++ > PRIVATE_MAX_DEPTH)
			return false;
		if (!at[len])
			return true;
	}
}

static int open_beneath(int fd, const char *path, int flags, mode_t mode,
			struct err *err)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE,
	};
	long r = syscall(__NR_openat2, fd, path, &how, sizeof(how));

	return r < 0 ? err_sys(err, "%s", path) : (int)r;
}

static int bad(const struct place *p, const char *what, struct err *err)
{
	return err_set(err, -EBADMSG, "%s: %s", p->path, what);
}

static int open_parent(struct place *p, struct err *err)
{
	char *slash = strrchr(p->path, '/');
	int fd;

	p->name = slash ? slash + 1 : p->path;
	if (slash)
		*slash = '\0';
	fd = open_beneath(p->root_fd, slash ? p->path : ".",
			  O_PATH | O_DIRECTORY, 0, err);
	if (slash)
		*slash = '/';
	if (fd == -ENOENT)
		return err_set(err, fd,
			       "%s: its directory is not there: it was not of "
			       "the job's user, so that whatever makes it (a "
			       "prolog) has to do so here, too",
			       p->path);
	p->parent = fd;
	return fd < 0 ? fd : 0;
}

/* Without p->parent; the caller closes that. */
static int find_place(const struct restore_ctx *ctx,
		      const PrivateEntryRecord *rec, struct place *p,
		      struct err *err)
{
	const struct restore_engine *e = ctx->engine;

	*p = (struct place){ .rec = rec, .parent = -EBADF };
	p->dir = (const PrivateDirRecord *)e->find(e->arg, TAG_PRIVATE_DIR,
						   rec->directory);
	p->root_fd = e->get_fd(e->arg, rec->directory);
	if (!p->dir || p->root_fd < 0)
		return err_set(err, -EBADMSG, "is in no directory");
	if (!take_path(&rec->path, p->path))
		return err_set(err, -EBADMSG, "is no path in %.*s",
			       (int)p->dir->path.len,
			       (const char *)p->dir->path.data);
	return rec->mode & ~07777u ? bad(p, "no permissions", err) : 0;
}

int private_make_dir(struct restore_ctx *ctx, const PrivateDirRecord *rec,
		     struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	char was[PATH_MAX_BYTES + 1], path[PATH_MAX];
	auto_close int fd = -EBADF;
	bool moved;
	int r;

	if (!is_text(&rec->path) || rec->path.data[0] != '/')
		return err_set(err, -EBADMSG, "is no path");
	memcpy(was, rec->path.data, rec->path.len);
	was[rec->path.len] = '\0';
	r = e->map_path(e->arg, was, path, err);
	if (r < 0)
		return r;
	moved = strcmp(path, was) != 0;
	fd = moved ? e->open_here(e->arg, path, O_PATH | O_DIRECTORY, 0, err)
		   : private_mount_open(ctx->root_fd, path, err);
	if (fd == -ENOENT && !moved)
		return err_set(err, fd,
			       "%s was the job's own, and here it is not: "
			       "restore it where jobs have one of their own, "
			       "or with --map %s=DIRECTORY",
			       was, was);
	if (fd < 0)
		return fd;
	return e->set_fd(e->arg, rec->object, take_fd(&fd), err);
}

/* The names that a dump writes; the user's rights decide about the rest. */
static bool is_attribute(const char *name)
{
	return !strncmp(name, "user.", 5) ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

static int set_attributes(const struct place *p, int fd, struct err *err)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < p->rec->n_attributes; i++) {
		const PrivateAttribute *a = p->rec->attributes[i];

		if (!is_attribute(a->name))
			return bad(p, "an attribute that is not saved", err);
		if (setxattr(path, a->name, a->value.data, a->value.len, 0) < 0)
			return err_sys(err, "%s: set attribute %s", p->path,
				       a->name);
	}
	return 0;
}

static int set_time(const struct place *p, int fd, struct err *err)
{
	const int64_t second = NSEC_PER_SEC;
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = p->rec->mtime_ns / second,
		  .tv_nsec = p->rec->mtime_ns % second },
	};

	return utimensat(fd, "", times, AT_EMPTY_PATH) < 0
		       ? err_sys(err, "%s: set its time", p->path)
		       : 0;
}

static void remove_it(const struct place *p)
{
	const bool is_directory =
		p->rec->kind == PRIVATE_ENTRY_RECORD__KIND__DIRECTORY;

	(void)unlinkat(p->parent, p->name, is_directory ? AT_REMOVEDIR : 0);
}

static int give(const struct place *p, int fd, struct err *err)
{
	/* Its user may give it to groups that they are in. */
	if (p->rec->has_gid &&
	    fchownat(fd, "", (uid_t)-1, p->rec->gid, AT_EMPTY_PATH) < 0)
		return err_sys(err, "%s: give it to group %u", p->path,
			       p->rec->gid);
	return 0;
}

/* What was there already is not ours to take back or to change. */
static int keep(const struct restore_ctx *ctx, const struct place *p,
		struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int fd = openat(p->parent, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r;

	r = fd < 0 ? err_sys(err, "%s: open it", p->path) : give(p, fd, err);
	if (r == 0)
		r = e->set_fd(e->arg, p->rec->object, fd, err);
	if (r < 0)
		remove_it(p);
	if (r < 0 && fd >= 0)
		close(fd);
	return r;
}

static int in_the_way(const struct place *p, struct err *err)
{
	return err_set(err, -EEXIST,
		       "%s: another file is there: remove it, or restore on "
		       "another node",
		       p->path);
}

/* As the user.  1: made; 0: it was there. */
static int make_directory(const struct place *p, struct err *err)
{
	struct stat st;

	if (mkdirat(p->parent, p->name, 0700) == 0)
		return fchmodat(p->parent, p->name, p->rec->mode | 0700, 0) < 0
			       ? err_sys(err, "%s: chmod", p->path)
			       : 1;
	if (errno != EEXIST)
		return err_sys(err, "%s: mkdir", p->path);
	if (fstatat(p->parent, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(st.st_mode))
		return in_the_way(p, err);
	return 0;
}

static bool leads_to(const struct place *p, const char *target)
{
	char now[PATH_MAX_BYTES + 1];
	ssize_t n = readlinkat(p->parent, p->name, now, sizeof(now));

	return n == (ssize_t)strlen(target) && !memcmp(now, target, (size_t)n);
}

static int make_link(const struct place *p, struct err *err)
{
	char target[PATH_MAX_BYTES + 1];

	if (!is_text(&p->rec->target) || p->rec->target.len >= PATH_MAX_BYTES)
		return bad(p, "a link to nothing", err);
	memcpy(target, p->rec->target.data, p->rec->target.len);
	target[p->rec->target.len] = '\0';
	if (symlinkat(target, p->parent, p->name) == 0)
		return 1;
	if (errno != EEXIST)
		return err_sys(err, "%s: symlink", p->path);
	return leads_to(p, target) ? 0 : in_the_way(p, err);
}

static int make_node(const struct place *p, mode_t kind, struct err *err)
{
	struct stat st;

	if (mknodat(p->parent, p->name, kind | 0600, 0) == 0)
		return fchmodat(p->parent, p->name, p->rec->mode & 0777, 0) < 0
			       ? err_sys(err, "%s: chmod", p->path)
			       : 1;
	if (errno != EEXIST)
		return err_sys(err, "%s: mknod", p->path);
	if (fstatat(p->parent, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (st.st_mode & S_IFMT) != kind)
		return in_the_way(p, err);
	return 0;
}

static int make_plain(const struct place *p, struct err *err)
{
	switch (p->rec->kind) {
	case PRIVATE_ENTRY_RECORD__KIND__DIRECTORY:
		return make_directory(p, err);
	case PRIVATE_ENTRY_RECORD__KIND__LINK:
		return make_link(p, err);
	case PRIVATE_ENTRY_RECORD__KIND__FIFO:
		return make_node(p, S_IFIFO, err);
	default:
		return bad(p, "a file of no kind", err);
	}
}

static bool is_at(const struct place *p, int fd)
{
	struct stat a, b;

	return fd >= 0 && fstat(fd, &a) == 0 &&
	       fstatat(p->parent, p->name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Another name of a file that has one by now. */
static int make_name(const struct place *p, int fd, struct err *err)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, p->parent, p->name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, "%s: link", p->path);
	return is_at(p, fd) ? 0 : in_the_way(p, err);
}

static int make_file(const struct restore_ctx *ctx, const struct place *p,
		     const GhostRecord *ghost, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	auto_close int fd = -EBADF;
	int r;

	r = as_user(&user, err);
	if (r < 0)
		return r;
	fd = open_beneath(p->parent, p->name, O_RDWR | O_CREAT | O_EXCL, 0600,
			  err);
	r = fd < 0 ? fd : set_attributes(p, fd, err);
	as_root();
	if (r == 0) {
		/* At once: should we be killed, the next restore knows it. */
		file_note_origin(fd, ghost->origin);
		r = ghost_make(ctx, ghost, fd, err);
	}
	if (r < 0 && fd >= 0 && as_user(&user, err) == 0) {
		(void)unlinkat(p->parent, p->name, 0);
		as_root();
	}
	return r;
}

/* As the mount is here. */
static int whole_path(const struct restore_ctx *ctx, const struct place *p,
		      char path[PATH_MAX], struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	char was[PATH_MAX_BYTES * 2 + 2];

	snprintf(was, sizeof(was), "%.*s/%s", (int)p->dir->path.len,
		 (const char *)p->dir->path.data, p->path);
	return e->map_path(e->arg, was, path, err);
}

/* By --map: to where there may be anything of its user's. */
static bool is_moved(const struct restore_ctx *ctx, const struct place *p)
{
	const ProtobufCBinaryData *dir = &p->dir->path;
	const struct restore_engine *e = ctx->engine;
	char was[PATH_MAX_BYTES + 1], path[PATH_MAX];
	struct err unused;

	snprintf(was, sizeof(was), "%.*s", (int)dir->len,
		 (const char *)dir->data);
	return e->map_path(e->arg, was, path, &unused) < 0 ||
	       strcmp(path, was) != 0;
}

/*
 * Nobody but the job has put anything there, or who prepares its run: that is
 * kept, under another name, and the job finds its own.
 */
static int put_aside(const struct restore_ctx *ctx, const struct place *p,
		     struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (ctx->files == FILES_REFUSE || is_moved(ctx, p) ||
	    fstatat(p->parent, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_uid != ctx->owner->uid)
		return in_the_way(p, err);
	r = whole_path(ctx, p, path, err);
	return r < 0 ? r : file_local_aside(ctx, path, err);
}

/* Left there by a run of the job before this one. */
static bool is_own(const struct place *p, const GhostRecord *ghost)
{
	auto_close int fd =
		openat(p->parent, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	auto_free char *origin = NULL;
	struct err unused;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       file_origin(fd, &origin, &unused) == 0 &&
	       !strcmp(origin, ghost->origin);
}

/* 1: what is there is used; 0: nothing is, any more. */
static int use_own(const struct restore_ctx *ctx, const struct place *p,
		   const GhostRecord *ghost, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	enum file_local_verdict verdict;
	char path[PATH_MAX];
	int there, r;

	r = whole_path(ctx, p, path, err);
	if (r == 0)
		r = file_local_decide(ctx, ghost, path, &verdict, &there, err);
	if (r < 0 || verdict == FILE_LOCAL_MAKE)
		return r;
	r = e->set_data_fd(e->arg, ghost->object, -1, err);
	if (r == 0)
		r = e->set_fd(e->arg, ghost->object, there, err);
	if (r < 0)
		close(there);
	return r < 0 ? r : 1;
}

static int make_first(const struct restore_ctx *ctx, const struct place *p,
		      const GhostRecord *ghost, struct err *err)
{
	struct err first = { 0 };
	int r = 0;

	if (is_own(p, ghost))
		r = use_own(ctx, p, ghost, err);
	if (r)
		return r < 0 ? r : 0;
	r = make_file(ctx, p, ghost, &first);
	if (r < 0 && r != -EEXIST)
		*err = first;
	if (r != -EEXIST)
		return r;
	r = put_aside(ctx, p, err);
	return r < 0 ? r : make_file(ctx, p, ghost, err);
}

/* fd: of a file that has a name by now; -1: what has no contents. */
static int try_as_user(const struct restore_ctx *ctx, const struct place *p,
		       int fd, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	int r = as_user(&user, err);

	if (r < 0)
		return r;
	r = fd < 0 ? make_plain(p, err) : make_name(p, fd, err);
	if (r > 0)
		r = keep(ctx, p, err);
	as_root();
	return r;
}

static int make_as_user(const struct restore_ctx *ctx, const struct place *p,
			int fd, struct err *err)
{
	struct err first = { 0 };
	int r = try_as_user(ctx, p, fd, &first);

	if (r < 0 && r != -EEXIST)
		*err = first;
	if (r != -EEXIST)
		return r;
	r = put_aside(ctx, p, err);
	return r < 0 ? r : try_as_user(ctx, p, fd, err);
}

static int make_regular(const struct restore_ctx *ctx, const struct place *p,
			struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const GhostRecord *ghost =
		(const GhostRecord *)e->find(e->arg, TAG_GHOST, p->rec->object);
	const int fd = e->get_fd(e->arg, p->rec->object);

	if (!ghost || !ghost->in_private || !ghost->local || !ghost->linked ||
	    !ghost->written || !ghost->origin || ghost->page_size != IMAGE_PAGE)
		return bad(p, "has no contents", err);
	return fd < 0 ? make_first(ctx, p, ghost, err)
		      : make_as_user(ctx, p, fd, err);
}

int private_make_entry(struct restore_ctx *ctx, const PrivateEntryRecord *rec,
		       struct err *err)
{
	const struct user_id user = restore_user(ctx);
	struct place p;
	int r;

	r = find_place(ctx, rec, &p, err);
	if (r < 0 || rec->kind == PRIVATE_ENTRY_RECORD__KIND__DIRECTORY_END ||
	    rec->kind == PRIVATE_ENTRY_RECORD__KIND__SOCKET)
		return r;
	r = as_user(&user, err);
	if (r < 0)
		return r;
	r = open_parent(&p, err);
	as_root();
	if (r == 0)
		r = rec->kind == PRIVATE_ENTRY_RECORD__KIND__REGULAR
			    ? make_regular(ctx, &p, err)
			    : make_as_user(ctx, &p, -1, err);
	cleanup_close(&p.parent);
	return r;
}

/* A name that the job's own socket has is there again by now. */
static int make_socket(const struct restore_ctx *ctx, struct place *p,
		       struct err *err)
{
	int r = open_parent(p, err);

	if (r == 0)
		r = make_node(p, S_IFSOCK, err);
	if (r > 0)
		r = keep(ctx, p, err);
	return r;
}

static bool is_made(const struct restore_ctx *ctx,
		    const PrivateEntryRecord *rec)
{
	const struct restore_engine *e = ctx->engine;
	const int fd = e->get_fd(e->arg, rec->object);
	const GhostRecord *ghost;

	if (fd < 0 || rec->kind != PRIVATE_ENTRY_RECORD__KIND__REGULAR)
		return fd >= 0;
	ghost = (const GhostRecord *)e->find(e->arg, TAG_GHOST, rec->object);
	return ghost && !file_local_used(ghost, fd);
}

/* As the user; its mode last, as it may take rights away. */
static int finish(const struct restore_ctx *ctx, struct place *p,
		  struct err *err)
{
	const bool end =
		p->rec->kind == PRIVATE_ENTRY_RECORD__KIND__DIRECTORY_END;
	const struct restore_engine *e = ctx->engine;
	char path[32];
	int fd, r = 0;

	if (p->rec->kind == PRIVATE_ENTRY_RECORD__KIND__SOCKET)
		r = make_socket(ctx, p, err);
	if (r < 0 || !is_made(ctx, p->rec))
		return r;
	fd = e->get_fd(e->arg, p->rec->object);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (end)
		r = set_attributes(p, fd, err);
	if (r == 0 && end && chmod(path, p->rec->mode) < 0)
		r = err_sys(err, "%s: chmod", p->path);
	return r < 0 ? r : set_time(p, fd, err);
}

int private_make_last(struct restore_ctx *ctx, const PrivateEntryRecord *rec,
		      struct err *err)
{
	const struct user_id user = restore_user(ctx);
	struct place p;
	int r;

	if (rec->kind == PRIVATE_ENTRY_RECORD__KIND__DIRECTORY)
		return 0;
	r = find_place(ctx, rec, &p, err);
	if (r == 0)
		r = as_user(&user, err);
	if (r < 0)
		return r;
	r = finish(ctx, &p, err);
	as_root();
	cleanup_close(&p.parent);
	return r;
}

void private_make_undo(struct restore_ctx *ctx, const PrivateEntryRecord *rec)
{
	const bool end = rec->kind == PRIVATE_ENTRY_RECORD__KIND__DIRECTORY_END;
	const struct restore_engine *e = ctx->engine;
	const struct user_id user = restore_user(ctx);
	struct err unused;
	struct place p;

	if (end || !is_made(ctx, rec) ||
	    find_place(ctx, rec, &p, &unused) < 0 ||
	    as_user(&user, &unused) < 0)
		return;
	if (open_parent(&p, &unused) == 0 &&
	    is_at(&p, e->get_fd(e->arg, rec->object)))
		remove_it(&p);
	as_root();
	cleanup_close(&p.parent);
}
