/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/ended.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/small.h"
#include "storage/store.h"
#include "util/cleanup.h"

#define NAME  "ended"
#define TAKEN "ended.taken"

#define LINE_SIZE 64

int ended_write(int job_fd, const struct user_id *user,
		const struct ended_mark *mark, struct err *err)
{
	char text[LINE_SIZE];

	snprintf(text, sizeof(text), "%" PRIu64 " %s\n", mark->at_ns,
		 mark->state);
	return small_write(job_fd, user, NAME, text, strlen(text), err);
}

int ended_read(int job_fd, const struct user_id *user, struct ended_mark *ret,
	       struct err *err)
{
	struct ended_mark mark = { 0 };
	char text[LINE_SIZE];
	int r = small_read(job_fd, user, NAME, text, sizeof(text), err);

	/* Claimed, and not seen through: it is long due. */
	if (r == -ENOENT)
		r = small_read(job_fd, user, TAKEN, text, sizeof(text), err);
	if (r < 0)
		return r;
	if (sscanf(text, "%20" SCNu64 " %23[A-Z_]", &mark.at_ns, mark.state) !=
	    2)
		return err_set(err, -EBADMSG, "%s: not one of ours", NAME);
	*ret = mark;
	return 0;
}

int ended_clear(int job_fd, const struct user_id *user, struct err *err)
{
	int r = as_user(user, err);

	if (r < 0)
		return r;
	if (unlinkat(job_fd, NAME, 0) < 0 && errno != ENOENT)
		r = err_sys(err, "%s: unlink", NAME);
	else if (faccessat(job_fd, TAKEN, F_OK, AT_EACCESS) == 0)
		r = err_set(err, -EBUSY, "it is being retired");
	as_root();
	return r;
}

int ended_claim(int job_fd, const struct user_id *user, struct err *err)
{
	int r = as_user(user, err);

	if (r < 0)
		return r;
	/* One that was claimed before and not seen through is ours now. */
	if (renameat(job_fd, NAME, job_fd, TAKEN) < 0 &&
	    (errno != ENOENT || faccessat(job_fd, TAKEN, F_OK, AT_EACCESS) < 0))
		r = err_sys(err, "%s", NAME);
	as_root();
	return r;
}

/* Nothing is left but the history, and that may go: it is replaced. */
static void remove_old(const char *store, const char *cluster,
		       const char *retired, const struct user_id *user)
{
	auto_close int fd = -EBADF;
	struct err unused;
	uint32_t count;

	if (store_open_job(store, cluster, retired, false, user, &fd, &unused) <
	    0)
		return;
	(void)store_empty(fd, user, &count, &unused);
	(void)store_remove_job(store, cluster, retired, user, &unused);
}

int ended_retire(const char *store, const char *cluster, const char *job,
		 const struct user_id *user, struct err *err)
{
	auto_close int fd = -EBADF;
	char retired[256];
	uint32_t count;
	int r, n = snprintf(retired, sizeof(retired), "%s" ENDED_SUFFIX, job);

	if (n < 0 || (size_t)n >= sizeof(retired))
		return err_num(err, ENAMETOOLONG, "job %s", job);
	remove_old(store, cluster, retired, user);
	r = store_rename_job(store, cluster, job, retired, user, err);
	if (r == 0)
		r = store_open_job(store, cluster, retired, false, user, &fd,
				   err);
	return r < 0 ? r : store_empty(fd, user, &count, err);
}
