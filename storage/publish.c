/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "storage/in_use.h"
#include "storage/lease.h"
#include "storage/small.h"
#include "storage/store.h"
#include "storage/tier.h"
#include "util/cleanup.h"

/*
 * A generation's life.  Whoever works on one holds a lock on its directory,
 * so that another's store_retire leaves it alone; where directories cannot
 * be locked the order of numbers has to do.
 */

#define DIR_FLAGS   (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define BEGIN_TRIES 16
/* How long a name may be missed that is given back. */
#define NAME_LOOKS    50
#define NAME_PAUSE_NS 20000000

static bool has_manifest(int job_fd, const char *name)
{
	char path[GENERATION_NAME_SIZE + sizeof("/manifest")];
	struct stat st;

	snprintf(path, sizeof(path), "%s/manifest", name);
	return fstatat(job_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

/* Opened: who sees it by NFS asks the server then. */
static bool is_kept(int job_fd, const char *name)
{
	auto_close int fd = openat(job_fd, name, DIR_FLAGS);

	return fd >= 0 &&
	       faccessat(fd, STORE_KEPT, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * Not published: on its way to the store from a fast directory, perhaps.  One
 * there may be complete where we do not see it.
 */
static void look_fast(int job_fd, struct store_generation *g)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	struct err unused;

	generation_name(name, g->number, true);
	tier_node(job_fd, name, g->fast_node);
	g->kept = (*g->fast_node || has_manifest(job_fd, name)) &&
		  is_kept(job_fd, name);
	if (!*g->fast_node ||
	    tier_resolve(job_fd, name, g->number, &fd, &unused) < 0)
		return;
	g->complete = true;
}

static int list(int job_fd, struct store_generation **ret, size_t *ret_count,
		struct err *err)
{
	auto_free struct catalog_entry *entries = NULL;
	struct lease_history history;
	struct store_generation *out;
	size_t count, i, n = 0;
	int r = catalog_read(job_fd, &entries, &count, err);

	if (r == 0)
		r = lease_history_read(job_fd, &history, err);
	if (r < 0)
		return r;
	out = calloc(count ? count : 1, sizeof(*out));
	if (!out) {
		free(history.runs);
		return err_num(err, ENOMEM, "generations");
	}
	for (i = 0; i < count; i++) {
		char name[GENERATION_NAME_SIZE];

		/* A published one comes before its twin under way. */
		if (n && out[n - 1].number == entries[i].number)
			continue;
		generation_name(name, entries[i].number, false);
		out[n].number = entries[i].number;
		out[n].late = lease_is_late(&history, entries[i].number);
		out[n].complete =
			!entries[i].under_way && has_manifest(job_fd, name);
		out[n].kept = out[n].complete && is_kept(job_fd, name);
		if (entries[i].under_way)
			look_fast(job_fd, &out[n]);
		n++;
	}
	free(history.runs);
	*ret = out;
	*ret_count = n;
	return 0;
}

int store_list(int job_fd, const struct user_id *user,
	       struct store_generation **ret, size_t *ret_count,
	       struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = list(job_fd, ret, ret_count, err);
	end_as(user);
	return r;
}

/* The newest that is complete and was not published too late. */
static int newest(int job_fd, uint32_t *ret, struct err *err)
{
	auto_free struct store_generation *all = NULL;
	size_t count;
	int r = list(job_fd, &all, &count, err);

	if (r < 0)
		return r;
	while (count && (!all[count - 1].complete || all[count - 1].late))
		count--;
	if (!count)
		return err_set(err, -ENOENT, "no complete snapshot");
	*ret = all[count - 1].number;
	return 0;
}

int store_newest(int job_fd, const struct user_id *user, uint32_t *ret,
		 struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = newest(job_fd, ret, err);
	end_as(user);
	return r;
}

uint32_t store_left_behind(int job_fd, uint32_t generation,
			   const struct user_id *user, char node[64])
{
	auto_free struct store_generation *all = NULL;
	struct err unused;
	size_t count = 0;

	if (store_list(job_fd, user, &all, &count, &unused) < 0)
		return 0;
	while (count-- > 0 && all[count].number > generation) {
		if (!*all[count].fast_node || all[count].complete)
			continue;
		memcpy(node, all[count].fast_node, 64);
		return all[count].number;
	}
	return 0;
}

int store_check_late(int job_fd, uint32_t number, const struct user_id *user,
		     struct err *err)
{
	struct lease_history history;
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = lease_history_read(job_fd, &history, err);
	end_as(user);
	if (r < 0)
		return r;
	if (lease_is_late(&history, number))
		r = err_set(err, -EBADMSG,
			    "generation %u is of a run that another had "
			    "replaced by then: it is not restored",
			    number);
	free(history.runs);
	return r;
}

/* A directory that was just made is opened, and locked. */
static int enter_new(int job_fd, const char *name, int *ret_dir_fd,
		     struct err *err)
{
	int fd = openat(job_fd, name, DIR_FLAGS);

	if (fd < 0) {
		err_sys(err, "%s", name);
		(void)unlinkat(job_fd, name, AT_REMOVEDIR);
		return err->code;
	}
	(void)flock(fd, LOCK_EX | LOCK_NB);
	*ret_dir_fd = fd;
	return 0;
}

/* In turn, but for numbers that a run has passed over: see lease_is_late. */
static int highest_number(int job_fd, struct lease_history *ret_history,
			  uint32_t *ret, struct err *err)
{
	auto_free struct catalog_entry *all = NULL;
	size_t count;
	int r = catalog_read(job_fd, &all, &count, err);

	if (r < 0)
		return r;
	*ret = count ? all[count - 1].number : 0;
	return lease_history_read(job_fd, ret_history, err);
}

static int make_next(int job_fd, const struct lease_history *history,
		     uint32_t number, char name[GENERATION_NAME_SIZE],
		     uint32_t *ret, struct err *err)
{
	uint32_t tries;

	for (tries = 0; tries < BEGIN_TRIES; tries++) {
		number = lease_next_number(history, number);
		if (number > STORE_GENERATION_MAX)
			return err_set(err, -ERANGE,
				       "generation %u is the "
				       "last one",
				       STORE_GENERATION_MAX);
		generation_name(name, number, true);
		if (mkdirat(job_fd, name, 0700) == 0) {
			*ret = number;
			return 0;
		}
		if (errno != EEXIST)
			break;
	}
	return err_sys(err, "%s: create", name);
}

static int begin(int job_fd, uint32_t *ret_number, int *ret_dir_fd,
		 struct err *err)
{
	struct lease_history history = { 0 };
	char name[GENERATION_NAME_SIZE];
	uint32_t number = 0;
	int r = highest_number(job_fd, &history, &number, err);

	if (r == 0)
		r = make_next(job_fd, &history, number, name, &number, err);
	free(history.runs);
	if (r < 0)
		return r;
	*ret_number = number;
	return enter_new(job_fd, name, ret_dir_fd, err);
}

int store_begin(int job_fd, const struct user_id *user, uint32_t *ret_number,
		int *ret_dir_fd, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = begin(job_fd, ret_number, ret_dir_fd, err);
	end_as(user);
	return r;
}

static int begin_at(int job_fd, uint32_t number, int *ret_dir_fd,
		    struct err *err)
{
	char name[GENERATION_NAME_SIZE];

	generation_name(name, number, false);
	if (faccessat(job_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, -EEXIST, "%s: is there already", name);
	generation_name(name, number, true);
	return mkdirat(job_fd, name, 0700) < 0
		       ? err_sys(err, "%s: create", name)
		       : enter_new(job_fd, name, ret_dir_fd, err);
}

int store_begin_at(int job_fd, const struct user_id *user, uint32_t number,
		   int *ret_dir_fd, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = begin_at(job_fd, number, ret_dir_fd, err);
	end_as(user);
	return r;
}

static int open_published(int job_fd, uint32_t number, int *ret_dir_fd,
			  struct err *err)
{
	auto_close int fd = -EBADF;
	char name[GENERATION_NAME_SIZE];

	generation_name(name, number, false);
	fd = openat(job_fd, name, DIR_FLAGS);
	if (fd < 0)
		return err_sys(err, "generation %u", number);
	if (!has_manifest(job_fd, name))
		return err_set(err, -ENOENT,
			       "generation %u has no manifest: not complete",
			       number);
	*ret_dir_fd = take_fd(&fd);
	return 0;
}

/* Not there: it may be in a fast directory still, here or elsewhere. */
static int open_any(int job_fd, uint32_t number, int *ret_dir_fd,
		    struct err *err)
{
	char name[GENERATION_NAME_SIZE], node[64];
	struct err first = { 0 };
	int r = open_published(job_fd, number, ret_dir_fd, &first);

	if (r == -ENOENT) {
		generation_name(name, number, true);
		tier_node(job_fd, name, node);
		if (*node)
			return tier_resolve(job_fd, name, number, ret_dir_fd,
					    err);
	}
	if (r < 0)
		*err = first;
	return r;
}

int store_open(int job_fd, uint32_t number, const struct user_id *user,
	       int *ret_dir_fd, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = open_any(job_fd, number, ret_dir_fd, err);
	end_as(user);
	return r;
}

int store_open_near(int job_fd, uint32_t number, const struct user_id *user,
		    int *ret_dir_fd, struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	int r = begin_as(user, err);
	bool copy;

	if (r < 0)
		return r;
	generation_name(name, number, false);
	copy = faccessat(job_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	generation_name(name, number, !copy);
	r = tier_resolve(job_fd, name, number, ret_dir_fd, err);
	end_as(user);
	if (r == 0)
		(void)flock(*ret_dir_fd, LOCK_SH | LOCK_NB);
	return r < 0 ? r : !copy;
}

static int rename_generation(int job_fd, uint32_t number, struct err *err)
{
	char from[GENERATION_NAME_SIZE], to[GENERATION_NAME_SIZE];

	generation_name(from, number, true);
	generation_name(to, number, false);
	if (catalog_rename(job_fd, from, to) < 0)
		return err_sys(err, "%s: rename", from);
	if (fsync(job_fd) == 0)
		return 0;
	err_sys(err, "%s: fsync of the directory above", to);
	(void)renameat(job_fd, to, job_fd, from);
	return err->code;
}

static int publish(int job_fd, uint32_t number, int dir_fd,
		   const void *manifest, size_t len, struct err *err)
{
	static const char tmp[] = "manifest.new";
	int r;

	r = small_create(dir_fd, tmp, manifest, len, err);
	if (r < 0)
		return r;
	if (catalog_rename(dir_fd, tmp, "manifest") < 0) {
		r = err_sys(err, "manifest: rename");
		(void)unlinkat(dir_fd, tmp, 0);
		return r;
	}
	if (fsync(dir_fd) < 0)
		r = err_sys(err, "manifest: fsync of its directory");
	else if (job_fd >= 0)
		r = rename_generation(job_fd, number, err);
	/* Not known to be durable: then it must not look like a snapshot. */
	if (r < 0)
		(void)unlinkat(dir_fd, "manifest", 0);
	return r;
}

int store_publish(int job_fd, uint32_t number, int dir_fd, const void *manifest,
		  size_t len, const struct user_id *user, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = publish(job_fd, number, dir_fd, manifest, len, err);
	end_as(user);
	return r;
}

/* What keeps none from being removed. */
enum even_if {
	LOCKED = 1 << 0, /* somebody is at work in it */
	KEPT = 1 << 1,
	READ = 1 << 2,
};

/*
 * What is left under the name of an attempt.  -EBUSY: it stays.  Of one that
 * was published, this is the second look at whether it is kept: see retire.
 */
static int discard_new(int job_fd, uint32_t number, unsigned int even_if,
		       struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	int r = 0;

	generation_name(name, number, true);
	fd = openat(job_fd, name, DIR_FLAGS);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s", name);
	if (!(even_if & LOCKED) && flock(fd, LOCK_EX | LOCK_NB) < 0 &&
	    errno == EWOULDBLOCK)
		return err_set(err, -EBUSY, "%s: in use", name);
	if (!(even_if & KEPT))
		r = catalog_take_back(job_fd, number, fd, err);
	if (r > 0)
		return err_set(err, -EBUSY, "generation %u is kept", number);
	if (r == 0 && fsync(job_fd) < 0)
		r = err_sys(err, "%s: fsync of the directory above", name);
	if (r == 0)
		r = catalog_empty(fd, err);
	if (r < 0)
		return err_wrap(err, r, "%s", name);
	if (unlinkat(job_fd, name, AT_REMOVEDIR) < 0)
		return err_sys(err, "%s: remove", name);
	return 0;
}

/* 1: it had none.  A file that is open cannot go in all file systems. */
static int take_name(int job_fd, uint32_t number, unsigned int even_if,
		     struct err *err)
{
	char live[GENERATION_NAME_SIZE], dead[GENERATION_NAME_SIZE];
	auto_close int dir_fd = -EBADF, alone_fd = -EBADF;
	int r = 0;

	generation_name(live, number, false);
	generation_name(dead, number, true);
	dir_fd = openat(job_fd, live, DIR_FLAGS);
	if (dir_fd >= 0 && !(even_if & READ))
		r = in_use_keep_out(dir_fd, &alone_fd, err);
	if (r < 0)
		return err_wrap(err, r, "generation %u", number);
	if (renameat(job_fd, live, job_fd, dead) < 0)
		return errno == ENOENT ? 1 : err_sys(err, "%s: rename", live);
	return 0;
}

/*
 * A published one stops being a snapshot in one step, by its name; a crash
 * while its files go leaves a leftover, not a damaged snapshot.
 */
static int discard(int job_fd, uint32_t number, unsigned int even_if,
		   struct err *err)
{
	int r = discard_new(job_fd, number, even_if | LOCKED, err);

	if (r == 0)
		r = take_name(job_fd, number, even_if, err);
	if (r == 0)
		r = discard_new(job_fd, number, even_if | LOCKED, err);
	return r > 0 ? 0 : r;
}

static int discard_as(int job_fd, uint32_t number, unsigned int even_if,
		      const struct user_id *user, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = discard(job_fd, number, even_if, err);
	end_as(user);
	return r;
}

int store_discard(int job_fd, uint32_t number, const struct user_id *user,
		  struct err *err)
{
	return discard_as(job_fd, number, KEPT | READ, user, err);
}

int store_remove(int job_fd, uint32_t number, const struct user_id *user,
		 struct err *err)
{
	return discard_as(job_fd, number, KEPT, user, err);
}

/* One that cannot be removed keeps no other: the first error stays. */
static bool removed(int r, const struct err *own, int *ret, struct err *err)
{
	if (r < 0 && *ret == 0) {
		*ret = r;
		*err = *own;
	}
	return r == 0;
}

/*
 * One that is not among those kept; an attempt that somebody is still at is
 * left alone, and what somebody reads is for the next time.
 */
static void retire_one(int job_fd, const struct store_generation *g, int *ret,
		       struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	struct err own;
	int r;

	generation_name(name, g->number, true);
	if (*g->fast_node && is_kept(job_fd, name))
		return;
	r = (g->complete && !*g->fast_node) ||
			    faccessat(job_fd, name, F_OK, 0) < 0
		    ? discard(job_fd, g->number, 0, &own)
		    : discard_new(job_fd, g->number, 0, &own);
	(void)removed(r == -EBUSY ? 0 : r, &own, ret, err);
}

/* A retirement that was killed has left it without its name, if any has. */
static void take_back(int job_fd, uint32_t number)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	struct err unused;

	generation_name(name, number, true);
	fd = openat(job_fd, name, DIR_FLAGS);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)catalog_take_back(job_fd, number, fd, &unused);
}

/*
 * All complete ones before the newest keep, and dead attempts before those.
 * One that was published too late keeps no other from being kept, nor does one
 * that is not in the store yet: it stays as long as it would if it were.
 *
 * Somebody may say meanwhile that one is to be kept.  Each of the two does its
 * part first and then looks for the other's: here it loses its name, and then
 * (discard_new) is looked at once more; there (store_keep) it is kept, and then
 * must have its name.  So whoever is last sees the other, and if both do it
 * gets its name back.
 */
static int retire(int job_fd, unsigned int keep, struct err *err)
{
	auto_free struct store_generation *all = NULL;
	unsigned int complete = 0;
	size_t count = 0, i;
	int r = list(job_fd, &all, &count, err);

	for (i = count; i-- > 0;) {
		if (all[i].kept) {
			take_back(job_fd, all[i].number);
			continue;
		}
		if (*all[i].fast_node) {
			if (complete == keep)
				retire_one(job_fd, &all[i], &r, err);
			continue;
		}
		if (all[i].complete && !all[i].late && complete < keep)
			complete++;
		else if (complete && (!all[i].complete || complete == keep))
			retire_one(job_fd, &all[i], &r, err);
	}
	return r;
}

int store_retire(int job_fd, unsigned int keep, const struct user_id *user,
		 struct err *err)
{
	int r;

	if (!keep)
		return err_set(err, -EINVAL, "at least one snapshot is kept");
	r = begin_as(user, err);
	if (r < 0)
		return r;
	r = retire(job_fd, keep, err);
	end_as(user);
	return r;
}

static int keep(int dir_fd, bool wanted, struct err *err)
{
	auto_close int fd = -EBADF;

	if (!wanted)
		return unlinkat(dir_fd, STORE_KEPT, 0) < 0 && errno != ENOENT
			       ? err_sys(err, "%s", STORE_KEPT)
			       : 0;
	fd = openat(dir_fd, STORE_KEPT,
		    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		    0600);
	return fd < 0 ? err_sys(err, "%s", STORE_KEPT) : 0;
}

/*
 * A retirement may have taken its name before it was kept: see retire.  One
 * that sees it gives the name back at once.
 */
static int check_named(int job_fd, uint32_t number, int dir_fd, struct err *err)
{
	const struct timespec pause = { .tv_nsec = NAME_PAUSE_NS };

	for (int i = 0; i < NAME_LOOKS; i++) {
		if (catalog_has_name(job_fd, number, false, dir_fd))
			return 0;
		/* On its way from a fast directory, it has no other. */
		if (catalog_has_name(job_fd, number, true, dir_fd) &&
		    faccessat(dir_fd, "manifest", F_OK, AT_SYMLINK_NOFOLLOW) <
			    0 &&
		    faccessat(dir_fd, STORE_KEPT, F_OK, AT_SYMLINK_NOFOLLOW) ==
			    0)
			return 0;
		nanosleep(&pause, NULL);
	}
	(void)unlinkat(dir_fd, STORE_KEPT, 0);
	return err_set(err, -ENOENT,
		       "it is being removed: too late to keep it");
}

/*
 * The store has it also of one that is elsewhere: others see it there, and it
 * is there when that one comes, by whatever name.
 */
static int keep_in_store(int job_fd, uint32_t number, bool wanted,
			 struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	int r;

	generation_name(name, number, false);
	fd = openat(job_fd, name, DIR_FLAGS);
	if (fd < 0 && errno == ENOENT) {
		generation_name(name, number, true);
		fd = openat(job_fd, name, DIR_FLAGS);
	}
	/* It was published in this moment. */
	if (fd < 0 && errno == ENOENT) {
		generation_name(name, number, false);
		fd = openat(job_fd, name, DIR_FLAGS);
	}
	if (fd < 0)
		return err_sys(err, "%s", name);
	r = keep(fd, wanted, err);
	if (r == 0 && fsync(fd) < 0)
		r = err_sys(err, "fsync");
	return r == 0 && wanted ? check_named(job_fd, number, fd, err) : r;
}

int store_keep(int job_fd, uint32_t number, bool wanted,
	       const struct user_id *user, struct err *err)
{
	auto_close int dir_fd = -EBADF;
	int r = store_open(job_fd, number, user, &dir_fd, err);

	if (r == 0)
		r = begin_as(user, err);
	if (r < 0)
		return r;
	r = keep_in_store(job_fd, number, wanted, err);
	if (r == 0)
		r = keep(dir_fd, wanted, err);
	if (r == 0 && fsync(dir_fd) < 0)
		r = err_sys(err, "fsync");
	end_as(user);
	return r < 0 ? err_wrap(err, r, "generation %u", number) : 0;
}

bool store_is_kept(int dir_fd, const struct user_id *user)
{
	struct err unused;
	bool kept;

	if (begin_as(user, &unused) < 0)
		return false;
	kept = faccessat(dir_fd, STORE_KEPT, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	end_as(user);
	return kept;
}

int store_keeps(int job_fd, const struct user_id *user, bool *ret,
		struct err *err)
{
	auto_free struct store_generation *all = NULL;
	size_t count;
	int r = store_list(job_fd, user, &all, &count, err);

	*ret = false;
	for (size_t i = 0; r == 0 && i < count; i++)
		*ret = *ret || all[i].kept;
	return r;
}

static int empty(int job_fd, bool even_if_read, uint32_t *ret_count,
		 struct err *err)
{
	auto_free struct store_generation *all = NULL;
	size_t count = 0, i;
	int ret = list(job_fd, &all, &count, err);

	*ret_count = 0;
	for (i = 0; i < count; i++) {
		char name[GENERATION_NAME_SIZE];
		struct err own;
		int r;

		generation_name(name, all[i].number, true);
		if (!all[i].complete && faccessat(job_fd, name, F_OK, 0) == 0) {
			r = discard_new(job_fd, all[i].number, KEPT, &own);
			r = r == -EBUSY ? 0 : r;
		} else {
			r = discard(job_fd, all[i].number,
				    KEPT | (even_if_read ? READ : 0), &own);
		}
		*ret_count += removed(r, &own, &ret, err) && all[i].complete;
	}
	return ret;
}

int store_empty(int job_fd, bool even_if_read, const struct user_id *user,
		uint32_t *ret_count, struct err *err)
{
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	r = empty(job_fd, even_if_read, ret_count, err);
	end_as(user);
	return r;
}
