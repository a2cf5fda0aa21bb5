/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_IPC_OBJECT_H
#define JOBCR_RESOURCE_IPC_OBJECT_H

#include <sys/ipc.h>

#include "images/ipc.pb-c.h"
#include "kernel/ipc.h"
#include "resource/resource.h"

/*
 * What System V objects and POSIX message queues have in common: they live in
 * the IPC namespace of the job.  A helper of these resources, none itself.
 */

/* Has the tree one of its own?  false: it is the node's, and so are they. */
bool ipc_is_jobs(const struct dump_ctx *ctx);

/* Enter that of the tree; ipc_leave ends it. */
int ipc_enter_jobs(const struct dump_ctx *ctx, struct ipc_visit *ret,
		   struct err *err);

/*
 * Look at all objects of a kind, in the job's namespace; the text of an error
 * names the object.  -EIDRM and -EINVAL of a running job: it is gone.
 */
typedef int (*ipc_object_fn)(const struct dump_ctx *ctx, int id, void *arg,
			     struct err *err);
int ipc_each(const struct dump_ctx *ctx, enum ipc_kind kind, ipc_object_fn fn,
	     void *arg, struct err *err);

/* Refuse an object that somebody else than the job's owner has made. */
void ipc_check_creator(const struct dump_ctx *ctx, const char *what, int id,
		       const struct ipc_perm *perm, struct refusals *no);

/* mode: SHM_DEST and the like are left out. */
void ipc_fill(const struct ipc_perm *perm, IpcPermissions *ret);

/*
 * At the restore: enter the job's namespace.  -ENOTSUP: it has the node's,
 * where nothing may be made.
 */
int ipc_enter_new(const struct restore_ctx *ctx, struct ipc_visit *ret,
		  struct err *err);

/*
 * Act as who made an object, with the rights of that user alone, for whom it
 * counts; -EPERM: the job's owner cannot be it.  ipc_as_root ends it.
 */
int ipc_as_creator(const struct restore_ctx *ctx, const IpcPermissions *p,
		   struct err *err);
void ipc_as_root(void);

#endif
