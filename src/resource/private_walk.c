// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/private_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "images/limits.h"
#include "util/cleanup.h"

#define WANTED (STATX_BASIC_STATS | STATX_MNT_ID)

struct walk {
	uid_t owner;
	private_item_fn fn;
	void *arg;
	uint64_t mount;
	uint32_t seen;
	unsigned int depth;
	size_t len;
	char path[PATH_MAX_BYTES + 1];
};

static int enter(struct walk *w, int dir_fd, const char *name, struct err *err);

/* It may go at any time while the job, or another of its user's, runs. */
static bool is_gone(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

/* Its time of access is the job's, too: only root, or its owner, may ask. */
static DIR *open_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |
				O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static int call(struct walk *w, const struct private_item *item,
		struct err *err)
{
	if (item->stat->stx_uid != w->owner && !item->mounted)
		return 0;
	return w->fn(w->arg, item, err);
}

static int visit(struct walk *w, int dir_fd, const char *name, struct err *err)
{
	struct statx st;
	struct private_item item = { dir_fd, name, w->path, &st, false, false };
	int r;

	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, WANTED,
		  &st) < 0) {
		/* FUSE lets nobody in but its user, root neither. */
		if (errno != EACCES)
			return is_gone(errno) ? 0 : err_sys(err, "%s", w->path);
		st = (struct statx){ .stx_mode = 0 };
	}
	if (++w->seen > PRIVATE_MAX_ENTRIES)
		return err_set(err, -E2BIG, "more than %u files",
			       PRIVATE_MAX_ENTRIES);
	item.mounted = st.stx_mnt_id != w->mount;
	r = call(w, &item, err);
	if (r < 0 || item.mounted || !S_ISDIR(st.stx_mode))
		return r;
	r = enter(w, dir_fd, name, err);
	item.end = true;
	return r < 0 ? r : call(w, &item, err);
}

static bool is_itself(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int read_dir(struct walk *w, DIR *dir, struct err *err)
{
	const size_t before = w->len;
	struct dirent *d;
	int r = 0;

	while (r == 0 && (errno = 0, d = readdir(dir))) {
		const size_t room = sizeof(w->path) - before;
		int n;

		if (is_itself(d->d_name))
			continue;
		n = snprintf(w->path + before, room, "%s%s", before ? "/" : "",
			     d->d_name);
		if ((size_t)n >= room) {
			w->path[before] = '\0';
			return err_set(err, -ENAMETOOLONG,
				       "%s/%s: a path of more than %u bytes",
				       w->path, d->d_name, PATH_MAX_BYTES);
		}
		w->len = before + (size_t)n;
		r = visit(w, dirfd(dir), d->d_name, err);
		w->len = before;
		w->path[before] = '\0';
	}
	if (r == 0 && errno)
		r = err_sys(err, "read directory %s", w->path);
	return r;
}

static int enter(struct walk *w, int dir_fd, const char *name, struct err *err)
{
	auto_closedir DIR *dir = NULL;
	int r;

	if (w->depth == PRIVATE_MAX_DEPTH)
		return err_set(err, -ENAMETOOLONG,
			       "%s: directories below %u others", w->path,
			       PRIVATE_MAX_DEPTH);
	dir = open_dir(dir_fd, name);
	if (!dir)
		return is_gone(errno) ? 0 : err_sys(err, "%s", w->path);
	w->depth++;
	r = read_dir(w, dir, err);
	w->depth--;
	return r;
}

int private_walk(int root_fd, uid_t owner, private_item_fn fn, void *arg,
		 struct err *err)
{
	struct walk w = { .owner = owner, .fn = fn, .arg = arg };
	struct statx st;

	if (statx(root_fd, "", AT_EMPTY_PATH, WANTED, &st) < 0)
		return err_sys(err, "look at it");
	w.mount = st.stx_mnt_id;
	return enter(&w, root_fd, ".", err);
}
