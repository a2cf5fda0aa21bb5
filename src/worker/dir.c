/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory of the caller's choice, in which there may be anything.  Who
 * writes a snapshot there holds its lock, as in the store: files of one that
 * is in nobody's hands are of a worker that was killed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "worker/worker.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define NUMBERS   "0123456789."

/* A name that a snapshot's part of this node gives to its files. */
static bool would_write(const char *node, const char *name)
{
	static const char *const numbered[] = { "pages.", "output." };
	size_t len = strlen(node);

	if (strcmp(name, "manifest.new") == 0)
		return true;
	if (strncmp(name, node, len) != 0 || name[len] != '.')
		return false;
	name += len + 1;
	for (size_t i = 0; i < ARRAY_SIZE(numbered); i++) {
		size_t n = strlen(numbered[i]);

		if (strncmp(name, numbered[i], n) == 0)
			return name[n] && !name[n + strspn(name + n, NUMBERS)];
	}
	return strcmp(name, "meta") == 0;
}

static int remove_file(const struct work *w, int fd, const char *name,
		       bool locked, struct err *err)
{
	const char *dir = w->req->dir;
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s/%s", dir, name);
	if (!locked || !S_ISREG(st.st_mode) || st.st_uid != w->owner.uid)
		return err_set(err, -EEXIST,
			       "%s: \"%s\" is there, which may be of a "
			       "checkpoint that did not end: remove it, or "
			       "choose another directory",
			       dir, name);
	return unlinkat(fd, name, 0) < 0 ? err_sys(err, "%s/%s", dir, name) : 0;
}

static int remove_leftovers(const struct work *w, int fd, bool locked,
			    struct err *err)
{
	auto_close int again = openat(fd, ".", DIR_FLAGS);
	auto_closedir DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct dirent *d;
	int r = 0;

	if (!dir)
		return err_sys(err, "%s", w->req->dir);
	(void)take_fd(&again);
	errno = 0;
	while (r == 0 && (d = readdir(dir))) {
		if (would_write(w->req->node, d->d_name))
			r = remove_file(w, fd, d->d_name, locked, err);
		errno = 0;
	}
	return r == 0 && errno ? err_sys(err, "%s", w->req->dir) : r;
}

/*
 * The job may end when its snapshot is safe: then its directory must be there,
 * too.  Who may write to the one above need not be able to read it.
 */
static int sync_above(const struct work *w, int fd, bool made, struct err *err)
{
	auto_close int above = openat(fd, "..", DIR_FLAGS);
	int r = above >= 0 ? fsync(above) : made ? syncfs(fd) : 0;

	/* It may be none of a disk's (autofs). */
	return r < 0 && errno != EINVAL
		       ? err_sys(err, "%s: fsync of the directory above",
				 w->req->dir)
		       : 0;
}

/*
 * Also what was found to be the owner's by its path, which may be another
 * directory by now.
 */
int work_check_dir(const struct work *w, int fd, struct err *err)
{
	const char *path = w->req->dir;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", path);
	if (st.st_uid && st.st_uid != w->owner.uid)
		return err_set(err, -EPERM, "%s: is uid %u's, the job uid %u's",
			       path, st.st_uid, w->owner.uid);
	if (!w->owner.uid && st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
			       "%s: is root's, but others can write there",
			       path);
	return 0;
}

static int enter(const struct work *w, int fd, bool made, struct err *err)
{
	const char *dir = w->req->dir;
	bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
	int r;

	if (!locked && errno == EWOULDBLOCK)
		return err_set(err, -EBUSY,
			       "%s: a snapshot is being written into it", dir);
	if (faccessat(fd, "manifest", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, -EEXIST,
			       "%s: there is a snapshot in it: choose another",
			       dir);
	r = work_check_dir(w, fd, err);
	if (r == 0)
		r = remove_leftovers(w, fd, locked, err);
	return r < 0 ? r : sync_above(w, fd, made, err);
}

int work_open_dir(struct work *w, int *ret, struct err *err)
{
	const char *dir = w->req->dir;
	auto_close int fd = -EBADF;
	int r = as_user(&w->owner, err);
	bool made;

	if (r < 0)
		return r;
	fd = open_named_dir(dir, O_RDONLY);
	made = fd < 0 && errno == ENOENT;
	if (made)
		fd = make_named_dir(dir, O_RDONLY, 0700);
	r = fd < 0 ? err_sys(err, "%s", dir) : enter(w, fd, made, err);
	if (r < 0 && made)
		(void)rmdir(dir);
	as_root();
	if (r == 0)
		*ret = take_fd(&fd);
	return r;
}
