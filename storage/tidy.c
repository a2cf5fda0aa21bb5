/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "storage/store.h"
#include "storage/tier.h"
#include "util/cleanup.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* What is in an attempt's directory. */
struct look {
	time_t newest;
	bool any;  /* files */
	bool ours; /* all of them begin with the node's name */
	bool fast; /* it is elsewhere, and this only has its number */
	bool whole, kept;
};

static int look_at(int dir_fd, const char *node, struct look *ret,
		   struct err *err)
{
	auto_closedir DIR *dir = NULL;
	size_t len = node ? strlen(node) : 0;
	struct dirent *d;
	struct stat st;
	int r = catalog_opendir(dir_fd, &dir, err);

	if (r < 0)
		return r;
	if (fstat(dir_fd, &st) < 0)
		return err_sys(err, "fstat");
	*ret = (struct look){ .newest = st.st_mtime, .ours = true };
	while ((d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		ret->any = true;
		ret->fast |= !strcmp(d->d_name, TIER_MARK);
		ret->whole |= !strcmp(d->d_name, "manifest");
		ret->kept |= !strcmp(d->d_name, STORE_KEPT);
		ret->ours &= node && strncmp(d->d_name, node, len) == 0 &&
			     d->d_name[len] == '.';
		if (fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime > ret->newest)
			ret->newest = st.st_mtime;
	}
	return 0;
}

/*
 * Who works on one holds its lock from before the first file.  On another
 * node that may not be seen: then only time tells.  One whose snapshot lies in
 * a fast directory waits there for its node, however long that is away.
 */
static bool is_dead(int dir_fd, uint32_t number, const char *node,
		    unsigned int older_s)
{
	time_t now = time(NULL);
	struct look look = { 0 };
	struct err unused;

	if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0 ||
	    look_at(dir_fd, node, &look, &unused) < 0)
		return false;
	/* A kept one is where it had to come from there: see remove_dead. */
	if (look.fast && !(look.whole && look.kept))
		return node && tier_is_lost(dir_fd, number, node);
	return ((look.any && look.ours) ||
		(look.newest < now && now - look.newest > (time_t)older_s));
}

/*
 * Its number is taken by a directory that is no snapshot, before anything of
 * it goes: should somebody be at it all the same, it cannot be published any
 * more, and numbers that a later run has passed over do not come again.  What a
 * retirement that was killed has taken for one is a snapshot again, if it is
 * kept.
 */
static int remove_dead(int job_fd, uint32_t number, int dir_fd, struct err *err)
{
	char dead[GENERATION_NAME_SIZE], taken[GENERATION_NAME_SIZE];
	int r = catalog_take_back(job_fd, number, dir_fd, err);

	if (r != 0)
		return r;
	generation_name(dead, number, true);
	generation_name(taken, number, false);
	if (mkdirat(job_fd, taken, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "%s: create", taken);
	if (fsync(job_fd) < 0)
		return err_sys(err, "%s: fsync of the directory above", taken);
	r = catalog_empty(dir_fd, err);
	if (r < 0)
		return err_wrap(err, r, "%s", dead);
	return unlinkat(job_fd, dead, AT_REMOVEDIR) < 0
		       ? err_sys(err, "%s: remove", dead)
		       : 0;
}

static int tidy(int job_fd, const char *node, unsigned int older_s,
		unsigned int *ret_count, struct err *err)
{
	auto_free struct catalog_entry *all = NULL;
	size_t count = 0;
	int ret = catalog_read(job_fd, &all, &count, err);

	for (size_t i = 0; i < count; i++) {
		auto_close int fd = -EBADF;
		struct err own;
		int r;
		char name[GENERATION_NAME_SIZE];

		if (!all[i].under_way)
			continue;
		generation_name(name, all[i].number, true);
		fd = openat(job_fd, name, DIR_FLAGS);
		if (fd < 0 || !is_dead(fd, all[i].number, node, older_s))
			continue;
		r = remove_dead(job_fd, all[i].number, fd, &own);
		*ret_count += r == 0;
		/* One that stays keeps no other. */
		if (r < 0 && ret == 0) {
			ret = r;
			*err = own;
		}
	}
	return ret;
}

int store_tidy(int job_fd, const char *node, unsigned int older_s,
	       const struct user_id *user, unsigned int *ret_count,
	       struct err *err)
{
	int r = begin_as(user, err);

	*ret_count = 0;
	if (r < 0)
		return r;
	r = tidy(job_fd, node, older_s, ret_count, err);
	end_as(user);
	return r;
}
