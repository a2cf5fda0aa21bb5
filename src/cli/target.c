/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

/*
 * The part under way, for the handler of signals.  Without a name nothing is
 * to be removed.
 */
static volatile sig_atomic_t part_dir = -1;
static char part_name[sizeof(((struct target *)0)->part)];

static void drop_part(int sig)
{
	if (part_dir >= 0)
		(void)unlinkat(part_dir, part_name, 0);
	/* It was reset to its default, and is blocked until we return. */
	(void)raise(sig);
}

/* Whoever interrupts a command, or limits its files, wants no leftovers. */
static void watch_part(const struct target *t)
{
	const struct sigaction action = { .sa_handler = drop_part,
					  .sa_flags = SA_RESETHAND };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
				       SIGXFSZ };
	struct sigaction old;

	snprintf(part_name, sizeof(part_name), "%s", t->part);
	part_dir = t->dir_fd;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &old) == 0 &&
		    old.sa_handler == SIG_DFL)
			(void)sigaction(signals[i], &action, NULL);
}

int target_open(struct target *t, const char *path, bool force, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	char dir[4096];
	int fd;

	if (!*base || strlen(base) >= sizeof(t->base) ||
	    strlen(path) >= sizeof(dir))
		return err_set(err, -EINVAL, "%s: not the name of a file",
			       path);
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(base - path) : 1,
		 slash ? path : ".");
	snprintf(t->base, sizeof(t->base), "%s", base);
	snprintf(t->part, sizeof(t->part), ".%s.%d.part", base, (int)getpid());
	t->force = force;
	t->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir_fd < 0)
		return err_sys(err, "%s", dir);
	if (!force &&
	    faccessat(t->dir_fd, base, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, -EEXIST,
			       "%s: is there already (--force replaces it)",
			       path);
	watch_part(t);
	fd = openat(t->dir_fd, t->part,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	return fd;
}

/* A file that has the name now keeps it, as with the others below. */
static int take_name(const struct target *t)
{
	int fd = openat(t->dir_fd, t->base,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int num;

	if (fd < 0)
		return -1;
	close(fd);
	if (renameat(t->dir_fd, t->part, t->dir_fd, t->base) == 0)
		return 0;
	num = errno;
	(void)unlinkat(t->dir_fd, t->base, 0);
	errno = num;
	return -1;
}

/* Not all file systems have links, or renames that replace nothing. */
static int name_new(const struct target *t)
{
	if (renameat2(t->dir_fd, t->part, t->dir_fd, t->base,
		      RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return -1;
	if (linkat(t->dir_fd, t->part, t->dir_fd, t->base, 0) == 0)
		return 0;
	return errno == EEXIST ? -1 : take_name(t);
}

/* Some file systems tell only now that there was no room. */
int target_commit(const struct target *t, int *fd, struct err *err)
{
	int r = 0;

	if (fsync(*fd) < 0 || close(take_fd(fd)) < 0)
		return err_sys(err, "%s", t->base);
	if (t->force)
		r = renameat(t->dir_fd, t->part, t->dir_fd, t->base);
	else
		r = name_new(t);
	return r < 0 ? err_sys(err, "%s", t->base) : 0;
}

void target_done(struct target *t)
{
	if (t->dir_fd < 0)
		return;
	part_dir = -1;
	/* After a rename there is none. */
	(void)unlinkat(t->dir_fd, t->part, 0);
	close(t->dir_fd);
	t->dir_fd = -1;
}
