/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/rota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "storage/own_dir.h"
#include "util/cleanup.h"
#include "util/io.h"

#define NAME_SIZE 24

/* below: those before it go; 0: none. */
static int find_newest(int dir_fd, uint64_t below, uint64_t *ret,
		       struct err *err)
{
	auto_closedir DIR *dir = NULL;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *d;
	uint64_t turn;

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		err_sys(err, "read the directory of turns");
		if (fd >= 0)
			close(fd);
		return err->code;
	}
	*ret = 0;
	for (errno = 0; (d = readdir(dir)); errno = 0) {
		if (parse_u64(d->d_name, UINT64_MAX - 1, &turn) < 0)
			continue;
		if (turn < below)
			(void)unlinkat(dir_fd, d->d_name, 0);
		if (turn > *ret)
			*ret = turn;
	}
	return errno ? err_sys(err, "read the directory of turns") : 0;
}

static void see(struct rota_seen *seen, uint64_t turn, uint64_t now_ns)
{
	seen->turn = turn;
	seen->since_ns = now_ns;
}

/*
 * 1: made.  0: another was faster.  Also when a later turn is there: who
 * looked long ago can make the file of one that is over and forgotten.
 */
static int begin(int dir_fd, const char *name, uid_t dir_uid, uint64_t turn,
		 struct err *err)
{
	auto_close int fd = -EBADF;
	char file[NAME_SIZE];
	uint64_t newest;
	int r;

	snprintf(file, sizeof(file), "%" PRIu64, turn);
	fd = openat(dir_fd, file,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return err_sys(err, "%s/%s: create", name, file);
	r = own_dir_check(name, fd, dir_uid, err);
	if (r == 0)
		r = find_newest(dir_fd, 0, &newest, err);
	if (r == 0 && newest == turn)
		return 1;
	(void)unlinkat(dir_fd, file, 0);
	return r;
}

int rota_take(const char *store, const char *cluster, const char *name,
	      uint64_t every_ns, uint64_t now_ns, struct rota_seen *seen,
	      struct err *err)
{
	auto_close int dir_fd = -EBADF;
	uint64_t newest;
	uid_t uid;
	bool known;
	int r = own_dir_open(store, cluster, name, &dir_fd, &uid, err);

	if (r == 0)
		r = find_newest(dir_fd, 0, &newest, err);
	if (r < 0)
		return r;
	/* Later than now: by the clock of a boot that is over. */
	known = seen->since_ns && seen->since_ns <= now_ns &&
		seen->turn == newest;
	if (newest && !known) {
		see(seen, newest, now_ns);
		return 0;
	}
	if (newest && now_ns - seen->since_ns < every_ns)
		return 0;
	r = begin(dir_fd, name, uid, newest + 1, err);
	if (r < 0)
		return r;
	see(seen, newest + 1, now_ns);
	if (r == 1)
		r = find_newest(dir_fd, newest + 1, &newest, err);
	return r < 0 ? r : seen->turn == newest;
}
