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

/* -EBUSY: somebody wants one of its snapshots; also when that is not seen. */
static int check_kept(int job_fd, const char *name, const struct user_id *user,
		      struct err *err)
{
	bool kept = false;
	int r = store_keeps(job_fd, user, &kept, err);

	if (r < 0)
		return err_set(err, -EBUSY, "%s: is one kept?", name);
	return kept ? err_set(err, -EBUSY, "%s: one is to be kept", name) : 0;
}

/* Nothing is left but the history, and that may go: it is replaced. */
static int remove_old(const char *store, const char *cluster,
		      const char *retired, const struct user_id *user,
		      struct err *err)
{
	auto_close int fd = -EBADF;
	struct err unused;
	uint32_t count;
	int r;

	if (store_open_job(store, cluster, retired, false, user, &fd, &unused) <
	    0)
		return 0;
	r = check_kept(fd, retired, user, err);
	if (r < 0)
		return r;
	(void)store_empty(fd, true, user, &count, &unused);
	(void)store_remove_job(store, cluster, retired, user, &unused);
	return 0;
}

int ended_take_back(const char *store, const char *cluster, const char *job,
		    int job_fd, const struct user_id *user, struct err *err)
{
	char retired[256];
	int r = as_user(user, err);

	if (r < 0)
		return r;
	snprintf(retired, sizeof(retired), "%s" ENDED_SUFFIX, job);
	if (renameat(job_fd, TAKEN, job_fd, NAME) < 0 && errno != ENOENT)
		r = err_sys(err, "%s", TAKEN);
	as_root();
	return r < 0 ? r
		     : store_rename_job(store, cluster, retired, job, user,
					err);
}

int ended_retire(const char *store, const char *cluster, const char *job,
		 const struct user_id *user, struct err *err)
{
	auto_close int fd = -EBADF;
	struct err unused;
	char retired[256];
	uint32_t count;
	int r, n = snprintf(retired, sizeof(retired), "%s" ENDED_SUFFIX, job);

	if (n < 0 || (size_t)n >= sizeof(retired))
		return err_num(err, ENAMETOOLONG, "job %s", job);
	r = remove_old(store, cluster, retired, user, err);
	if (r == 0)
		r = store_rename_job(store, cluster, job, retired, user, err);
	if (r == 0)
		r = store_open_job(store, cluster, retired, false, user, &fd,
				   err);
	if (r < 0)
		return r;
	/* Who keeps one looks for the job's name after that. */
	r = check_kept(fd, job, user, err);
	if (r < 0)
		(void)ended_take_back(store, cluster, job, fd, user, &unused);
	if (r < 0)
		return r;
	/* What somebody reads is for the next sweep. */
	r = store_empty(fd, false, user, &count, err);
	return r == -EBUSY ? 0 : r;
}
