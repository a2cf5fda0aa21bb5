/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/tier.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/catalog.h"
#include "storage/small.h"
#include "util/cleanup.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define START     "jobcr fast 1: "
#define TEXT_SIZE (sizeof(START) + 33 + 64 + PATH_MAX + 4)

int tier_mark_make(const char *node, const char *fast, const char *cluster,
		   const char *job, struct tier_mark *ret, struct err *err)
{
	uint64_t random[2];
	int n;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, "getrandom");
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->token, sizeof(ret->token), "%016llx%016llx",
		 (unsigned long long)random[0], (unsigned long long)random[1]);
	snprintf(ret->node, sizeof(ret->node), "%.63s", node);
	n = snprintf(ret->path, sizeof(ret->path), "%s/%s/%s", fast, cluster,
		     job);
	if (n >= (int)sizeof(ret->path) || strchr(ret->path, '\n'))
		return err_set(err, -EINVAL, "%.64s: not a path for FastDir",
			       fast);
	return 0;
}

bool tier_mark_same(const struct tier_mark *a, const struct tier_mark *b)
{
	return strcmp(a->token, b->token) == 0;
}

int tier_mark_write(int dir_fd, const struct user_id *user,
		    const struct tier_mark *mark, struct err *err)
{
	char text[TEXT_SIZE];
	int n = snprintf(text, sizeof(text), START "%s %s %s\n", mark->token,
			 mark->node, mark->path);

	return small_write(dir_fd, user, TIER_MARK, text, (size_t)n, err);
}

static int parse(char *text, struct tier_mark *ret)
{
	char *token = text + sizeof(START) - 1, *node, *path, *end;

	if (strncmp(text, START, sizeof(START) - 1) != 0)
		return -EBADMSG;
	node = strchr(token, ' ');
	path = node ? strchr(node + 1, ' ') : NULL;
	end = path ? strchr(path + 1, '\n') : NULL;
	if (!end || end[1])
		return -EBADMSG;
	*node++ = *path++ = *end = '\0';
	if (strlen(token) != sizeof(ret->token) - 1 ||
	    strspn(token, "0123456789abcdef") != strlen(token) || !*node ||
	    strlen(node) >= sizeof(ret->node) || *path != '/' ||
	    strlen(path) >= sizeof(ret->path))
		return -EBADMSG;
	/* It is printed. */
	for (const char *p = node; *p; p++)
		if (*p <= ' ' || *p > '~')
			return -EBADMSG;
	strcpy(ret->token, token);
	strcpy(ret->node, node);
	strcpy(ret->path, path);
	return 0;
}

int tier_mark_read(int dir_fd, const struct user_id *user,
		   struct tier_mark *ret, struct err *err)
{
	char text[TEXT_SIZE];
	int r = small_read(dir_fd, user, TIER_MARK, text, sizeof(text), err);

	if (r < 0)
		return r;
	r = parse(text, ret);
	return r < 0 ? err_set(err, r, TIER_MARK ": not a mark of jobcr's") : 0;
}

static bool is_roots(const struct stat *st)
{
	return S_ISREG(st->st_mode) &&
	       (st->st_uid == 0 || st->st_uid == geteuid());
}

int tier_root_make(const char *fast, const char *cluster, struct err *err)
{
	auto_close int dir_fd = -EBADF;
	auto_close int fd = -EBADF;
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", fast, cluster);
	dir_fd = open(path, DIR_FLAGS);
	if (dir_fd < 0)
		return err_sys(err, "%s", path);
	fd = openat(dir_fd, TIER_ROOT,
		    O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		    0644);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s/" TIER_ROOT, path);
	return is_roots(&st) ? 0
			     : err_set(err, -EPERM,
				       "%s/" TIER_ROOT
				       " belongs to uid %u: not trusted; "
				       "remove it",
				       path, st.st_uid);
}

static const char *here;

void tier_here(const char *fast)
{
	here = fast;
}

static bool is_here(const char *path)
{
	const size_t len = here ? strlen(here) : 0;
	const char *cluster, *job;

	if (!len || strncmp(path, here, len) != 0 || path[len] != '/')
		return false;
	cluster = path + len + 1;
	job = strchr(cluster, '/');
	return job && *cluster != '.' && job != cluster && job[1] &&
	       job[1] != '.' && !strchr(job + 1, '/');
}

static int open_mark(int job_fd, const char *name, struct tier_mark *ret,
		     struct err *err)
{
	auto_close int dir_fd = openat(job_fd, name, DIR_FLAGS);

	return dir_fd < 0 ? err_sys(err, "%s", name)
			  : tier_mark_read(dir_fd, NULL, ret, err);
}

/* What the user may have named is his, and in a directory of root's. */
static bool may_enter(int job_fd, int fast_fd)
{
	struct stat job, fast, root;

	return fstat(job_fd, &job) == 0 && fstat(fast_fd, &fast) == 0 &&
	       fast.st_uid == job.st_uid &&
	       !(fast.st_mode & (S_IWGRP | S_IWOTH)) &&
	       fstatat(fast_fd, "../" TIER_ROOT, &root, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       is_roots(&root);
}

int tier_resolve(int job_fd, const char *name, uint32_t number, int *ret_fd,
		 struct err *err)
{
	char generation[GENERATION_NAME_SIZE];
	auto_close int fast_fd = -EBADF;
	auto_close int fd = -EBADF;
	struct tier_mark mark, there;
	int r = open_mark(job_fd, name, &mark, err);

	if (r < 0)
		return r;
	if (is_here(mark.path))
		fast_fd = open(mark.path, DIR_FLAGS);
	generation_name(generation, number, false);
	if (fast_fd >= 0 && may_enter(job_fd, fast_fd))
		fd = openat(fast_fd, generation, DIR_FLAGS);
	if (fd < 0 || tier_mark_read(fd, NULL, &there, err) < 0 ||
	    !tier_mark_same(&mark, &there) ||
	    faccessat(fd, "manifest", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, -ENOENT,
			       "generation %u is only in the fast directory of "
			       "%s, not here",
			       number, mark.node);
	*ret_fd = take_fd(&fd);
	return 0;
}

static uint64_t add_up(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x100000001b3;
}

static uint64_t look_at(int dir_fd)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *d;
	struct stat st;
	struct err unused;
	uint64_t sum = 1;

	if (catalog_opendir(dir_fd, &dir, &unused) < 0)
		return 0;
	while ((d = readdir(dir))) {
		if (fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		sum = add_up(sum, st.st_ino);
		sum = add_up(sum, (uint64_t)st.st_size);
		sum = add_up(sum, (uint64_t)st.st_blocks);
		sum = add_up(sum, (uint64_t)st.st_mtim.tv_sec);
		sum = add_up(sum, (uint64_t)st.st_mtim.tv_nsec);
	}
	return sum;
}

/* Opened: who sees a file by NFS asks the server then. */
static void see_again(int dir_fd)
{
	auto_close int fd =
		openat(dir_fd, TIER_MARK,
		       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

int tier_beat(int job_fd, uint32_t number, const struct user_id *user,
	      struct err *err)
{
	char name[GENERATION_NAME_SIZE];
	char path[GENERATION_NAME_SIZE + sizeof("/" TIER_MARK)];
	int r = begin_as(user, err);

	if (r < 0)
		return r;
	generation_name(name, number, true);
	snprintf(path, sizeof(path), "%s/" TIER_MARK, name);
	if (utimensat(job_fd, path, NULL, AT_SYMLINK_NOFOLLOW) < 0)
		r = err_sys(err, "%s", path);
	end_as(user);
	return r;
}

uint64_t tier_progress(int job_fd, uint32_t number, const struct user_id *user)
{
	char name[GENERATION_NAME_SIZE];
	auto_close int fd = -EBADF;
	struct err unused;
	uint64_t sum;

	if (begin_as(user, &unused) < 0)
		return 0;
	generation_name(name, number, true);
	fd = openat(job_fd, name, DIR_FLAGS);
	if (fd >= 0)
		see_again(fd);
	sum = fd < 0 ? 0 : look_at(fd);
	end_as(user);
	return sum;
}

bool tier_is_lost(int dir_fd, uint32_t number, const char *node)
{
	char live[GENERATION_NAME_SIZE], fresh[GENERATION_NAME_SIZE];
	auto_close int above = -EBADF, fd = -EBADF;
	struct tier_mark mark;
	struct err unused;
	char *job;

	if (tier_mark_read(dir_fd, NULL, &mark, &unused) < 0 ||
	    strcmp(mark.node, node) != 0 || !is_here(mark.path))
		return false;
	job = strrchr(mark.path, '/');
	*job++ = '\0';
	above = open(mark.path, DIR_FLAGS);
	if (above < 0 ||
	    faccessat(above, TIER_ROOT, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	fd = openat(above, job, DIR_FLAGS);
	if (fd < 0)
		return errno == ENOENT;
	generation_name(live, number, false);
	generation_name(fresh, number, true);
	/* In the order in which it is renamed. */
	return faccessat(fd, fresh, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT &&
	       faccessat(fd, live, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

void tier_node(int job_fd, const char *name, char ret[64])
{
	struct tier_mark mark;
	struct err unused;

	ret[0] = '\0';
	if (open_mark(job_fd, name, &mark, &unused) == 0)
		strcpy(ret, mark.node);
}
