// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/ipc_object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"

bool ipc_is_jobs(const struct dump_ctx *ctx)
{
	return ctx->options->ipc_pid != 0;
}

/* 1 when the object has gone meanwhile: only a running job does that. */
static bool is_gone(int r)
{
	return r == -EIDRM || r == -EINVAL;
}

int ipc_enter_jobs(const struct dump_ctx *ctx, struct ipc_visit *ret,
		   struct err *err)
{
	auto_close int proc_fd = -EBADF;
	int r = proc_open(ctx->options->ipc_pid, 0, &proc_fd, err);

	return r < 0 ? r : ipc_enter(proc_fd, ret, err);
}

int ipc_each(const struct dump_ctx *ctx, enum ipc_kind kind, ipc_object_fn fn,
	     void *arg, struct err *err)
{
	auto_free int *ids = NULL;
	struct ipc_visit visit;
	size_t count = 0;
	int r;

	if (!ipc_is_jobs(ctx))
		return 0;
	r = ipc_enter_jobs(ctx, &visit, err);
	if (r < 0)
		return r;
	r = ipc_list(kind, &ids, &count, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		r = fn(ctx, ids[i], arg, err);
		if (is_gone(r) && !ctx->out)
			r = 0;
		if (r < 0)
			err_wrap(err, r, "id %d", ids[i]);
	}
	ipc_leave(&visit);
	return r;
}

void ipc_check_creator(const struct dump_ctx *ctx, const char *what, int id,
		       const struct ipc_perm *perm, struct refusals *no)
{
	const uint32_t owner = ctx->options->owner_uid;

	if (owner && perm->cuid != owner)
		refusals_add(no, 0, "", -1, "remove it (ipcrm)",
			     "a System V %s (id %d) that user %u has made",
			     what, id, perm->cuid);
}

void ipc_fill(const struct ipc_perm *perm, IpcPermissions *ret)
{
	ipc_permissions__init(ret);
	ret->key = perm->__key;
	ret->mode = perm->mode & 0777;
	ret->uid = perm->uid;
	ret->gid = perm->gid;
	ret->cuid = perm->cuid;
	ret->cgid = perm->cgid;
}

int ipc_enter_new(const struct restore_ctx *ctx, struct ipc_visit *ret,
		  struct err *err)
{
	bool own;
	int r;

	ret->own = -1;
	r = ipc_is_own(ctx->init_proc_fd, &own, err);
	if (r < 0)
		return r;
	if (own)
		return err_set(err, -ENOTSUP,
			       "the job had an IPC namespace of its own and is "
			       "restored into the node's: see PrivateIPC in "
			       "jobcr.conf(5)");
	return ipc_enter(ctx->init_proc_fd, ret, err);
}

static bool owner_has_group(const struct restore_owner *o, uint32_t gid)
{
	for (size_t i = 0; i < o->ngroups; i++)
		if (o->groups[i] == gid)
			return true;
	return o->gid == gid;
}

/* The kernel takes the creator from the effective ids. */
int ipc_as_creator(const struct restore_ctx *ctx, const IpcPermissions *p,
		   struct err *err)
{
	const struct restore_owner *o = ctx->owner;
	const struct user_id creator = {
		.uid = p->cuid,
		.gid = p->cgid,
		.ngroups = o->ngroups,
		.groups = (gid_t *)o->groups,
	};

	if (o->uid && (p->cuid != o->uid || !owner_has_group(o, p->cgid)))
		return err_set(err, -EPERM,
			       "was made by user %u, group %u, which user %u "
			       "is not",
			       p->cuid, p->cgid, o->uid);
	return count_as_user(&creator, err);
}

void ipc_as_root(void)
{
	count_as_root();
}
