/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/as_user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

static int load_groups(const char *name, struct user_id *user, struct err *err)
{
	int room = 64;

	for (;;) {
		gid_t *more =
			reallocarray(user->groups, (size_t)room, sizeof(gid_t));
		int count = room;

		if (!more)
			return err_num(err, ENOMEM, "groups of %s", name);
		user->groups = more;
		if (getgrouplist(name, user->gid, more, &count) >= 0) {
			user->ngroups = (size_t)count;
			return 0;
		}
		if (room >= GROUPS_MAX)
			return err_set(err, -E2BIG, "groups of %s: too many",
				       name);
		room = count > room ? count : 2 * room;
	}
}

/* own: the group is one that the user is in without our doing. */
static int load(uid_t uid, gid_t gid, bool own, struct user_id *ret,
		struct err *err)
{
	struct user_id user = { .uid = uid, .gid = gid };
	struct passwd entry, *found = NULL;
	auto_free char *text = malloc(1 << 16);
	size_t i;
	int r;

	if (!text)
		return err_num(err, ENOMEM, "uid %u", uid);
	/* An unknown uid (also: name service down) has its gid only. */
	if (getpwuid_r(uid, &entry, text, 1 << 16, &found) == 0 && found) {
		user.gid = own ? entry.pw_gid : gid;
		r = load_groups(entry.pw_name, &user, err);
	} else {
		user.groups = malloc(sizeof(gid_t));
		r = user.groups ? 0 : err_num(err, ENOMEM, "uid %u", uid);
		if (user.groups) {
			user.groups[0] = gid;
			user.ngroups = 1;
		}
	}
	if (r < 0) {
		user_id_done(&user);
		return r;
	}
	for (i = 0; i < user.ngroups; i++)
		if (user.groups[i] == gid)
			user.gid = gid;
	*ret = user;
	return 0;
}

int user_id_load(uid_t uid, gid_t gid, struct user_id *ret, struct err *err)
{
	return load(uid, gid, false, ret, err);
}

int user_id_of_file(const struct stat *st, struct user_id *ret, struct err *err)
{
	return load(st->st_uid, st->st_gid, true, ret, err);
}

void user_id_done(struct user_id *user)
{
	free(user->groups);
	user->groups = NULL;
	user->ngroups = 0;
}

/* setfsuid(2) and setfsgid(2) report nothing: ask for what is in force. */
static int set_fs_ids(uid_t uid, gid_t gid)
{
	syscall(SYS_setfsgid, gid);
	syscall(SYS_setfsuid, uid);
	return (uid_t)syscall(SYS_setfsuid, -1) == uid &&
			       (gid_t)syscall(SYS_setfsgid, -1) == gid
		       ? 0
		       : -EPERM;
}

/*
 * Those that files of the kernel's go by, which setfsuid leaves alone.  Raised
 * again only if we may have them.
 */
static void set_rights(bool on)
{
	const uint32_t bits = 1u << CAP_SYS_RESOURCE | 1u << CAP_SYS_ADMIN |
			      1u << CAP_SYS_PTRACE;
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data) < 0)
		return;
	data[0].effective = on ? data[0].effective | (data[0].permitted & bits)
			       : data[0].effective & ~bits;
	(void)syscall(SYS_capset, &head, data);
}

int as_user(const struct user_id *user, struct err *err)
{
	if (geteuid() != 0 && user->uid == geteuid())
		return 0;
	/* The C library's setgroups would change all threads. */
	if (syscall(SYS_setgroups, user->ngroups, user->groups) < 0)
		return err_sys(err, "groups of uid %u", user->uid);
	if (set_fs_ids(user->uid, user->gid) < 0) {
		as_root();
		return err_num(err, EPERM, "file system ids of uid %u",
			       user->uid);
	}
	set_rights(false);
	return 0;
}

void as_root(void)
{
	if (geteuid() != 0)
		return;
	if (set_fs_ids(0, 0) < 0 || syscall(SYS_setgroups, 0, NULL) < 0)
		abort();
	set_rights(true);
}

/* By raw calls: those of the C library change all threads. */
int count_as_user(const struct user_id *user, struct err *err)
{
	if (geteuid() != 0 && user->uid == geteuid())
		return 0;
	if (syscall(SYS_setgroups, user->ngroups, user->groups) < 0 ||
	    syscall(SYS_setresgid, user->gid, user->gid, -1) < 0 ||
	    syscall(SYS_setresuid, user->uid, user->uid, -1) < 0) {
		(void)err_sys(err, "ids of user %u", user->uid);
		count_as_root();
		return err->code;
	}
	return 0;
}

void count_as_root(void)
{
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) < 0)
		abort();
	if (saved != 0)
		return;
	if (syscall(SYS_setresuid, 0, 0, -1) < 0 ||
	    syscall(SYS_setresgid, 0, 0, -1) < 0 ||
	    syscall(SYS_setgroups, 0, NULL) < 0)
		abort();
}

int begin_as(const struct user_id *user, struct err *err)
{
	return user ? as_user(user, err) : 0;
}

void end_as(const struct user_id *user)
{
	if (user)
		as_root();
}
