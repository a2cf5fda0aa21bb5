/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "util/cleanup.h"

/*
 * Who may make what: STORE is the administrator's.  CLUSTER is made by root
 * (or by a user in a store of their own); where root is squashed, the
 * administrator makes it, sticky like /tmp.  JOBID is made as the user, and
 * where that is not allowed by root, who gives it away.
 */

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool plain_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') &&
	       strlen(name) <= 255;
}

/* Only root, we and the job's user may be able to change what is inside. */
static int check_trust(const struct stat *st, const struct user_id *user,
		       const char *what, struct err *err)
{
	mode_t others = S_IWOTH | (st->st_gid == 0 ? 0 : S_IWGRP);

	if (st->st_uid != 0 && st->st_uid != geteuid() &&
	    !(user && st->st_uid == user->uid))
		return err_set(err, -EPERM,
			       "%s: belongs to uid %u, not to root: not "
			       "trusted (where root is squashed, make it on "
			       "the file server, see INSTALLATION in jobcr(7))",
			       what, st->st_uid);
	if ((st->st_mode & others) && !(st->st_mode & S_ISVTX))
		return err_set(err, -EPERM,
			       "%s: others can write there (mode %04o): "
			       "not trusted",
			       what, st->st_mode & 07777);
	return 0;
}

/* Who can write above a directory can put another one in its place. */
static int check_above(int dir_fd, const struct user_id *user, const char *what,
		       struct err *err)
{
	auto_close int fd = openat(dir_fd, ".", O_PATH | O_CLOEXEC);
	struct stat st, last = { 0 };
	int r;

	for (;;) {
		int up;

		if (fd < 0 || fstat(fd, &st) < 0)
			return err_sys(err, "%s: a directory above", what);
		if (st.st_dev == last.st_dev && st.st_ino == last.st_ino)
			return 0;
		r = check_trust(&st, user, what, err);
		if (r < 0)
			return last.st_ino
				       ? err_wrap(err, r, "a directory above")
				       : r;
		last = st;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
	}
}

/* As the user; where they may not look, as root if we are. */
static int open_dir(int dir_fd, const char *name, const struct user_id *user,
		    int *ret, struct err *err)
{
	int fd, r = begin_as(user, err);

	if (r < 0)
		return r;
	fd = openat(dir_fd, name, DIR_FLAGS);
	end_as(user);
	if (fd < 0 && errno == EACCES && user)
		fd = openat(dir_fd, name, DIR_FLAGS);
	if (fd < 0)
		return err_sys(err, "%s", name);
	*ret = fd;
	return 0;
}

static int make_cluster(int store_fd, const char *cluster, struct err *err)
{
	int num;

	if (mkdirat(store_fd, cluster, 0755) == 0)
		return fsync(store_fd) < 0 ? err_sys(err, "fsync") : 0;
	num = errno;
	/* Not EEXIST alone: a read-only or squashed store says no first. */
	if (faccessat(store_fd, cluster, F_OK, 0) == 0)
		return 0;
	return err_num(err, num,
		       "%s: cannot be made; where root may not write, make it "
		       "with mode 1777",
		       cluster);
}

static int open_cluster(int store_fd, const char *cluster, bool create,
			const struct user_id *user, int *ret, struct err *err)
{
	auto_close int fd = -EBADF;
	struct stat st;
	int r;

	r = create ? make_cluster(store_fd, cluster, err) : 0;
	if (r < 0)
		return r;
	r = open_dir(store_fd, cluster, user, &fd, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", cluster);
	r = check_trust(&st, NULL, cluster, err);
	if (r < 0)
		return r;
	*ret = take_fd(&fd);
	return 0;
}

static int make_as_root(int cluster_fd, const char *job, bool anew,
			const struct user_id *user, struct err *err)
{
	/* Left by a crash before the chown, and only then, it is empty. */
	if (!anew)
		(void)unlinkat(cluster_fd, job, AT_REMOVEDIR);
	if (mkdirat(cluster_fd, job, 0700) < 0)
		return errno == EEXIST && !anew
			       ? 0
			       : err_sys(err, "%s: create", job);
	if (fchownat(cluster_fd, job, user->uid, user->gid,
		     AT_SYMLINK_NOFOLLOW) < 0) {
		err_sys(err, "%s: give to uid %u", job, user->uid);
		(void)unlinkat(cluster_fd, job, AT_REMOVEDIR);
		return err->code;
	}
	return 0;
}

static int make_job(int cluster_fd, const char *job, bool anew,
		    const struct user_id *user, struct err *err)
{
	struct stat st;
	int r, num;

	if (!anew && fstatat(cluster_fd, job, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (!user || st.st_uid == user->uid || st.st_uid != 0))
		return 0;
	r = begin_as(user, err);
	if (r < 0)
		return r;
	r = mkdirat(cluster_fd, job, 0700);
	num = errno;
	end_as(user);
	if (r == 0)
		return 0;
	if (!user || geteuid() != 0 || (anew && num == EEXIST))
		return err_num(err, num, "%s: create", job);
	return make_as_root(cluster_fd, job, anew, user, err);
}

/* A squashed root sees only whose it is. */
static int open_as_owner(int cluster_fd, const char *job, int *ret,
			 struct err *err)
{
	struct user_id owner;
	struct stat st;
	int r;

	if (fstatat(cluster_fd, job, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "%s", job);
	r = user_id_load(st.st_uid, st.st_gid, &owner, err);
	if (r < 0)
		return r;
	r = open_dir(cluster_fd, job, &owner, ret, err);
	user_id_done(&owner);
	return r;
}

static int open_job(int cluster_fd, const char *job, const struct user_id *user,
		    int *ret, struct err *err)
{
	auto_close int fd = -EBADF;
	uid_t owner = user ? user->uid : geteuid();
	struct stat st;
	int r = open_dir(cluster_fd, job, user, &fd, err);

	if (r == -EACCES && owner == 0 && !user)
		r = open_as_owner(cluster_fd, job, &fd, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", job);
	/* Without a user given, root looks at anybody's. */
	if (st.st_uid != owner && !(owner == 0 && !user))
		return err_set(err, -EPERM,
			       "%s: belongs to uid %u, not to the job's user",
			       job, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM, "%s: others can write there", job);
	*ret = take_fd(&fd);
	return 0;
}

enum how { LOOK, ENTER, CREATE, MAKE };

static int open_parents(const char *store, const char *cluster, bool create,
			const struct user_id *user, int *ret_fd,
			struct err *err)
{
	auto_close int store_fd = -EBADF;
	int r;

	/* The store's own path is the administrator's: links are followed. */
	store_fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store_fd < 0)
		return err_sys(err, "open");
	r = check_above(store_fd, user, "the store", err);
	return r < 0 ? r
		     : open_cluster(store_fd, cluster, create, user, ret_fd,
				    err);
}

static int open_chain(const char *store, const char *cluster, const char *job,
		      enum how how, const struct user_id *user, int *ret_fd,
		      struct err *err)
{
	auto_close int cluster_fd = -EBADF;
	int r = open_parents(store, cluster, how != LOOK, user, &cluster_fd,
			     err);

	if (r == 0 && how != LOOK)
		r = make_job(cluster_fd, job, how == MAKE, user, err);
	/* Also one that is there: who made it need not have waited for it. */
	if (r == 0 && how >= CREATE && fsync(cluster_fd) < 0)
		r = err_sys(err, "fsync");
	if (r == 0)
		r = open_job(cluster_fd, job, user, ret_fd, err);
	if (r == -ENOENT && how == LOOK)
		err_set(err, r, "cluster %s: job %s has no snapshots", cluster,
			job);
	return r;
}

static int check_names(const char *cluster, const char *job, struct err *err)
{
	return plain_name(cluster) && plain_name(job)
		       ? 0
		       : err_set(err, -EINVAL,
				 "cluster '%s', job '%s': not file names",
				 cluster, job);
}

static int open_named(const char *store, const char *cluster, const char *job,
		      enum how how, const struct user_id *user, int *ret_fd,
		      struct err *err)
{
	int r = check_names(cluster, job, err);

	if (r < 0)
		return r;
	r = open_chain(store, cluster, job, how, user, ret_fd, err);
	return r < 0 ? err_wrap(err, r, "store %s", store) : 0;
}

int store_open_job(const char *store, const char *cluster, const char *job,
		   bool create, const struct user_id *user, int *ret_fd,
		   struct err *err)
{
	return open_named(store, cluster, job, create ? CREATE : LOOK, user,
			  ret_fd, err);
}

int store_make_job(const char *store, const char *cluster, const char *job,
		   const struct user_id *user, int *ret_fd, struct err *err)
{
	return open_named(store, cluster, job, MAKE, user, ret_fd, err);
}

int store_enter_job(const char *store, const char *cluster, const char *job,
		    const struct user_id *user, int *ret_fd, struct err *err)
{
	return open_named(store, cluster, job, ENTER, user, ret_fd, err);
}

int store_identify(const char *store, const char *cluster, uint64_t ret[2],
		   struct err *err)
{
	auto_close int fd = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstatat(fd, cluster, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "store %s, cluster %s", store, cluster);
	ret[0] = st.st_dev;
	ret[1] = st.st_ino;
	return 0;
}

/*
 * What is done to the name is done to the directory that was looked at: only
 * the job's user and root can put another one in its place.
 */
int store_rename_job(const char *store, const char *cluster, const char *job,
		     const char *to, const struct user_id *user,
		     struct err *err)
{
	auto_close int cluster_fd = -EBADF, job_fd = -EBADF;
	int r = check_names(cluster, job, err), n;

	if (r == 0)
		r = check_names(cluster, to, err);
	if (r == 0)
		r = open_parents(store, cluster, false, user, &cluster_fd, err);
	if (r == 0)
		r = open_job(cluster_fd, job, user, &job_fd, err);
	if (r == 0)
		r = begin_as(user, err);
	if (r < 0)
		return err_wrap(err, r, "store %s", store);
	n = catalog_rename(cluster_fd, job, to);
	end_as(user);
	if (n < 0 && (errno == EACCES || errno == EPERM) && user)
		n = catalog_rename(cluster_fd, job, to);
	return n < 0 ? err_sys(err, "store %s: job %s: rename to %s", store,
			       job, to)
		     : 0;
}

/* Files only: generations were removed before. */
static int remove_files(int job_fd, struct err *err)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	int r = catalog_opendir(job_fd, &dir, err);

	if (r < 0)
		return r;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			(void)unlinkat(job_fd, entry->d_name, 0);
	return 0;
}

int store_remove_job(const char *store, const char *cluster, const char *job,
		     const struct user_id *user, struct err *err)
{
	auto_close int cluster_fd = -EBADF, job_fd = -EBADF;
	int r = check_names(cluster, job, err), n;

	if (r == 0)
		r = open_parents(store, cluster, false, user, &cluster_fd, err);
	if (r == 0)
		r = open_job(cluster_fd, job, user, &job_fd, err);
	if (r == 0)
		r = begin_as(user, err);
	if (r < 0)
		return err_wrap(err, r, "store %s", store);
	r = remove_files(job_fd, err);
	n = r < 0 ? 0 : unlinkat(cluster_fd, job, AT_REMOVEDIR);
	end_as(user);
	if (n < 0 && (errno == EACCES || errno == EPERM) && user)
		n = unlinkat(cluster_fd, job, AT_REMOVEDIR);
	if (n < 0)
		r = err_sys(err, "store %s: job %s: remove", store, job);
	return r;
}
