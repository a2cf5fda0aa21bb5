/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_AS_USER_H
#define JOBCR_STORAGE_AS_USER_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Files are opened with the rights of the job's user: parallel file systems
 * squash root, and quota and ownership are then right by themselves.  Only
 * the calling thread is changed (fsuid, fsgid, groups, by raw system calls);
 * with a uid other than 0 the kernel takes its file capabilities meanwhile.
 * So that quotas hold, and descriptors know no rights that are not the user's,
 * it does without CAP_SYS_RESOURCE, CAP_SYS_ADMIN and CAP_SYS_PTRACE, too, as
 * do threads that it begins.  What is written to files below /proc/sys is
 * judged by the effective uid, which stays: for that there is count_as_user.
 */
struct user_id {
	uid_t uid;
	gid_t gid;
	size_t ngroups;
	gid_t *groups; /* owned by whoever made the struct */
};

/* Look up uid's groups (getgrouplist).  Unknown uid: just uid and gid. */
int user_id_load(uid_t uid, gid_t gid, struct user_id *ret, struct err *err);

/*
 * The owner of a file, with the file's group if that is one of theirs: else it
 * is the one of a directory above (set-group-ID), and they get their own.
 */
int user_id_of_file(const struct stat *st, struct user_id *ret,
		    struct err *err);
void user_id_done(struct user_id *user);

/* Begin and end; they do not nest.  as_root cannot fail in a root process. */
int as_user(const struct user_id *user, struct err *err);
void as_root(void);

/*
 * For what the kernel counts for, or gives to, whoever makes it (queues,
 * inotify): real and effective ids are changed too, the saved uid stays root's.
 * The user may send this thread signals meanwhile.
 */
int count_as_user(const struct user_id *user, struct err *err);
void count_as_root(void);

/* As as_user, where user may be NULL: then nothing is changed. */
int begin_as(const struct user_id *user, struct err *err);
void end_as(const struct user_id *user);

#endif
