// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/ghost_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"

static bool may_have_group(const struct restore_owner *owner, uint32_t gid)
{
	if (!owner->uid || gid == owner->gid)
		return true;
	for (size_t i = 0; i < owner->ngroups; i++)
		if (owner->groups[i] == gid)
			return true;
	return false;
}

static int set_owner(const struct restore_ctx *ctx, int fd,
		     const GhostRecord *rec, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (st.st_uid == rec->uid && st.st_gid == rec->gid)
		return 0;
	if ((ctx->owner->uid && rec->uid != ctx->owner->uid) ||
	    !may_have_group(ctx->owner, rec->gid))
		return err_set(err, -EPERM,
			       "belonged to user %u, group %u, "
			       "which user %u may not give",
			       rec->uid, rec->gid, ctx->owner->uid);
	if (fchown(fd, rec->uid, rec->gid) < 0)
		return err_sys(err, "fchown");
	return 0;
}

/* Programs that change the group are made by its members only. */
static int set_mode(const struct restore_ctx *ctx, int fd,
		    const GhostRecord *rec, struct err *err)
{
	mode_t mode = rec->mode & 07777;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (ctx->owner->uid && st.st_uid != ctx->owner->uid)
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	if (!may_have_group(ctx->owner, st.st_gid))
		mode &= ~(mode_t)S_ISGID;
	return fchmod(fd, mode) < 0 ? err_sys(err, "fchmod") : 0;
}

int ghost_keep(const struct restore_ctx *ctx, const GhostRecord *rec, int fd,
	       struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	char path[32];
	int handle;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	handle = open(path, (rec->local ? O_RDONLY : O_PATH) | O_CLOEXEC);
	if (handle < 0)
		return err_sys(err, "open again");
	return e->set_fd(e->arg, rec->object, handle, err);
}

static int write_small(const GhostRecord *rec, int fd, struct err *err)
{
	if (rec->data.len != rec->size)
		return err_set(err, -EBADMSG, "has %zu of %llu bytes",
			       rec->data.len, (unsigned long long)rec->size);
	return write_all(fd, rec->data.data, rec->data.len, err);
}

int ghost_make_anybodys(const struct restore_ctx *ctx, const GhostRecord *rec,
			int fd, struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	int r;

	if (ftruncate(fd, (off_t)rec->size) < 0)
		return err_sys(err, "make %llu bytes",
			       (unsigned long long)rec->size);
	/* To write to a file would take its set-user-ID. */
	r = rec->has_data ? write_small(rec, fd, err) : 0;
	if (r == 0)
		r = set_mode(ctx, fd, rec, err);
	if (r == 0)
		r = e->set_data_fd(e->arg, rec->object, rec->has_data ? -1 : fd,
				   err);
	return r < 0 ? r : ghost_keep(ctx, rec, fd, err);
}

int ghost_make(const struct restore_ctx *ctx, const GhostRecord *rec, int fd,
	       struct err *err)
{
	int r = set_owner(ctx, fd, rec, err);

	return r < 0 ? r : ghost_make_anybodys(ctx, rec, fd, err);
}
