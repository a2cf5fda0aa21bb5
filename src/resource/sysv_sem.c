// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets of System V semaphores: their values; see sysv_undo.c for the rest. */
#include <errno.h>
#include <stdlib.h>
#include <sys/sem.h>

#include "images/limits.h"
#include "images/tags.h"
#include "resource/ipc_object.h"
#include "util/cleanup.h"

#define VALUE_MAX 32767u /* SEMVMX */

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int check_one(const struct dump_ctx *ctx, int id, void *arg,
		     struct err *err)
{
	struct semid_ds ds;

	if (semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) < 0)
		return err_sys(err, "semctl");
	ipc_check_creator(ctx, "semaphore set", id, &ds.sem_perm, arg);
	if (ds.sem_nsems > SEMAPHORES_MAX)
		refusals_add(arg, 0, "", -1, "use smaller sets",
			     "a System V semaphore set (id %d) of %lu "
			     "semaphores, more than %u",
			     id, ds.sem_nsems, SEMAPHORES_MAX);
	return 0;
}

static int sysv_sem_check(const struct dump_ctx *ctx, struct refusals *no,
			  struct err *err)
{
	return ipc_each(ctx, IPC_SEM, check_one, no, err);
}

static int dump_one(const struct dump_ctx *ctx, int id, void *arg,
		    struct err *err)
{
	SysvSemRecord rec = SYSV_SEM_RECORD__INIT;
	auto_free unsigned short *values = NULL;
	auto_free uint32_t *wide = NULL;
	IpcPermissions permissions;
	struct semid_ds ds;

	(void)arg;
	if (semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) < 0)
		return err_sys(err, "semctl");
	values = calloc(ds.sem_nsems + 1, sizeof(*values));
	wide = calloc(ds.sem_nsems + 1, sizeof(*wide));
	if (!values || !wide)
		return err_num(err, ENOMEM, "semaphores");
	if (semctl(id, 0, GETALL, (union semun){ .array = values }) < 0)
		return err_sys(err, "values");
	for (size_t i = 0; i < ds.sem_nsems; i++)
		wide[i] = values[i];
	ipc_fill(&ds.sem_perm, &permissions);
	rec.id = id;
	rec.permissions = &permissions;
	rec.values = wide;
	rec.n_values = ds.sem_nsems;
	return img_put(ctx->out, TAG_SYSV_SEM, &rec.base, err);
}

static int sysv_sem_dump(const struct dump_ctx *ctx, struct err *err)
{
	return ipc_each(ctx, IPC_SEM, dump_one, NULL, err);
}

static int make_set(const SysvSemRecord *rec, unsigned short *values,
		    struct err *err)
{
	const IpcPermissions *p = rec->permissions;
	struct semid_ds ds = { .sem_perm = { .uid = p->uid,
					     .gid = p->gid,
					     .mode = p->mode & 0777 } };
	int id =
		semget(p->key, (int)rec->n_values, IPC_CREAT | IPC_EXCL | 0600);

	if (id < 0)
		return err_sys(err, "semget of %zu semaphores", rec->n_values);
	if (id != rec->id)
		return err_set(err, -EEXIST, "got the id %d instead", id);
	if (semctl(id, 0, SETALL, (union semun){ .array = values }) < 0)
		return err_sys(err, "values");
	if (semctl(id, 0, IPC_SET, (union semun){ .buf = &ds }) < 0)
		return err_sys(err, "owner");
	return 0;
}

static int sysv_sem_restore(struct restore_ctx *ctx,
			    const ProtobufCMessage *msg, struct err *err)
{
	const SysvSemRecord *rec = (const SysvSemRecord *)msg;
	auto_free unsigned short *values = NULL;
	struct ipc_visit visit;
	int r;

	if (!rec->n_values || rec->n_values > SEMAPHORES_MAX)
		return err_set(err, -EBADMSG, "set %d: %zu semaphores", rec->id,
			       rec->n_values);
	values = calloc(rec->n_values, sizeof(*values));
	if (!values)
		return err_num(err, ENOMEM, "semaphores");
	for (size_t i = 0; i < rec->n_values; i++) {
		if (rec->values[i] > VALUE_MAX)
			return err_set(err, -EBADMSG, "set %d: value %u",
				       rec->id, rec->values[i]);
		values[i] = (unsigned short)rec->values[i];
	}
	r = ipc_enter_new(ctx, &visit, err);
	if (r < 0)
		return r;
	r = ipc_set_next_id(IPC_SEM, rec->id, err);
	if (r == 0)
		r = ipc_as_creator(ctx, rec->permissions, err);
	if (r == 0) {
		r = make_set(rec, values, err);
		ipc_as_root();
	}
	ipc_leave(&visit);
	return r < 0 ? err_wrap(err, r, "set %d", rec->id) : 0;
}

const struct resource_ops res_sysv_sem = {
	.name = "System V semaphores",
	.saved = "sets with ids, keys, owners, values and undos",
	.refused = "what is in the node's IPC namespace",
	.changes = "when a set was used; who used a semaphore last, if that "
		   "process has ended",
	.tag = TAG_SYSV_SEM,
	.scope = SCOPE_TREE,
	.stage = STAGE_OPEN,
	.check_tree = sysv_sem_check,
	.dump_tree = sysv_sem_dump,
	.restore_file = sysv_sem_restore,
};
