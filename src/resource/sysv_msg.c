// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System V message queues.  Messages are copied with MSG_COPY, which takes
 * nothing out and changes nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

#include "images/limits.h"
#include "images/tags.h"
#include "resource/ipc_object.h"
#include "util/cleanup.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

#define BATCH_BYTES (1u << 20)
#define BATCH_MAX   4096u

struct message { /* as msgrcv(2) has it */
	long type;
	uint8_t data[];
};

static int check_one(const struct dump_ctx *ctx, int id, void *arg,
		     struct err *err)
{
	struct msqid_ds ds;
	uint64_t most;
	int r;

	if (msgctl(id, IPC_STAT, &ds) < 0)
		return err_sys(err, "msgctl");
	ipc_check_creator(ctx, "message queue", id, &ds.msg_perm, arg);
	r = ipc_limit("kernel/msgmax", 0, &most, err);
	if (r == 0 && most > BATCH_BYTES && ds.__msg_cbytes > BATCH_BYTES)
		refusals_add(arg, 0, "", -1,
			     "let the job receive its messages first",
			     "a System V message queue (id %d) with %lu bytes, "
			     "where messages may be longer than %u",
			     id, ds.__msg_cbytes, BATCH_BYTES);
	return r;
}

static int sysv_msg_check(const struct dump_ctx *ctx, struct refusals *no,
			  struct err *err)
{
	return ipc_each(ctx, IPC_MSG, check_one, no, err);
}

/* Messages of one record, under construction. */
struct batch {
	SysvMessagesRecord rec;
	int64_t types[BATCH_MAX];
	uint32_t sizes[BATCH_MAX];
	uint8_t *data; /* BATCH_BYTES and one message more */
};

static int put_batch(const struct dump_ctx *ctx, struct batch *b,
		     struct err *err)
{
	int r = 0;

	if (b->rec.n_types)
		r = img_put(ctx->out, TAG_SYSV_MESSAGES, &b->rec.base, err);
	b->rec.n_types = b->rec.n_sizes = b->rec.data.len = 0;
	return r;
}

static void add_message(struct batch *b, const struct message *m, size_t len)
{
	b->types[b->rec.n_types++] = m->type;
	b->sizes[b->rec.n_sizes++] = (uint32_t)len;
	memcpy(b->data + b->rec.data.len, m->data, len);
	b->rec.data.len += len;
}

static int dump_messages(const struct dump_ctx *ctx, int id, size_t count,
			 struct batch *b, struct message *m, size_t most,
			 struct err *err)
{
	int r = 0;

	b->rec = (SysvMessagesRecord)SYSV_MESSAGES_RECORD__INIT;
	b->rec.id = id;
	b->rec.types = b->types;
	b->rec.sizes = b->sizes;
	b->rec.data.data = b->data;
	for (size_t i = 0; i < count && r == 0; i++) {
		ssize_t n = msgrcv(id, m, most, (long)i, MSG_COPY | IPC_NOWAIT);

		if (n < 0)
			return err_sys(err, "message %zu of %zu", i, count);
		if (b->rec.data.len + (size_t)n > BATCH_BYTES ||
		    b->rec.n_types == BATCH_MAX)
			r = put_batch(ctx, b, err);
		if (r == 0)
			add_message(b, m, (size_t)n);
	}
	return r < 0 ? r : put_batch(ctx, b, err);
}

static int dump_contents(const struct dump_ctx *ctx, int id,
			 const struct msqid_ds *ds, struct err *err)
{
	const size_t most = ds->__msg_cbytes;
	auto_free struct message *m = malloc(sizeof(*m) + most);
	auto_free struct batch *b = malloc(sizeof(*b));
	int r;

	if (b)
		b->data = malloc(BATCH_BYTES + most);
	if (!m || !b || !b->data) {
		if (b)
			free(b->data);
		return err_num(err, ENOMEM, "messages");
	}
	r = dump_messages(ctx, id, ds->msg_qnum, b, m, most, err);
	free(b->data);
	return r;
}

static int dump_one(const struct dump_ctx *ctx, int id, void *arg,
		    struct err *err)
{
	SysvMsgRecord rec = SYSV_MSG_RECORD__INIT;
	IpcPermissions permissions;
	struct msqid_ds ds;
	int r;

	(void)arg;
	if (msgctl(id, IPC_STAT, &ds) < 0)
		return err_sys(err, "msgctl");
	ipc_fill(&ds.msg_perm, &permissions);
	rec.id = id;
	rec.permissions = &permissions;
	rec.bytes = ds.msg_qbytes;
	r = img_put(ctx->out, TAG_SYSV_MSG, &rec.base, err);
	return r < 0 ? r : dump_contents(ctx, id, &ds, err);
}

static int sysv_msg_dump(const struct dump_ctx *ctx, struct err *err)
{
	return ipc_each(ctx, IPC_MSG, dump_one, NULL, err);
}

static int make_queue(const SysvMsgRecord *rec, struct err *err)
{
	int id = msgget(rec->permissions->key, IPC_CREAT | IPC_EXCL | 0600);

	if (id < 0)
		return err_sys(err, "msgget");
	return id == rec->id
		       ? 0
		       : err_set(err, -EEXIST, "got the id %d instead", id);
}

/* What it may hold and who may use it: when the messages are in. */
static int settle_queue(const SysvMsgRecord *rec, struct err *err)
{
	const IpcPermissions *p = rec->permissions;
	struct msqid_ds ds = { .msg_perm = { .uid = p->uid,
					     .gid = p->gid,
					     .mode = p->mode & 0777 },
			       .msg_qbytes = rec->bytes };

	return msgctl(rec->id, IPC_SET, &ds) < 0
		       ? err_sys(err, "owner, or %llu bytes",
				 (unsigned long long)rec->bytes)
		       : 0;
}

static int as_creator(const struct restore_ctx *ctx, const SysvMsgRecord *rec,
		      bool make, struct err *err)
{
	struct ipc_visit visit;
	int r;

	r = ipc_enter_new(ctx, &visit, err);
	if (r < 0)
		return r;
	r = make ? ipc_set_next_id(IPC_MSG, rec->id, err) : 0;
	if (r == 0)
		r = ipc_as_creator(ctx, rec->permissions, err);
	if (r == 0) {
		r = make ? make_queue(rec, err) : settle_queue(rec, err);
		ipc_as_root();
	}
	ipc_leave(&visit);
	return r < 0 ? err_wrap(err, r, "queue %d", rec->id) : 0;
}

static int sysv_msg_restore(struct restore_ctx *ctx,
			    const ProtobufCMessage *msg, struct err *err)
{
	return as_creator(ctx, (const SysvMsgRecord *)msg, true, err);
}

static int sysv_msg_finish(struct restore_ctx *ctx, struct restore_task *task,
			   struct restore_thread *thread,
			   const ProtobufCMessage *msg, struct err *err)
{
	(void)task;
	(void)thread;
	return as_creator(ctx, (const SysvMsgRecord *)msg, false, err);
}

static int send_all(const SysvMessagesRecord *rec, struct err *err)
{
	auto_free struct message *m = malloc(sizeof(*m) + rec->data.len);
	size_t at = 0;

	if (!m)
		return err_num(err, ENOMEM, "messages");
	for (size_t i = 0; i < rec->n_types; i++) {
		const size_t len = i < rec->n_sizes ? rec->sizes[i] : SIZE_MAX;

		if (len > rec->data.len - at)
			return err_set(err, -EBADMSG, "messages do not add up");
		m->type = rec->types[i];
		if (len)
			memcpy(m->data, rec->data.data + at, len);
		at += len;
		if (msgsnd(rec->id, m, len, IPC_NOWAIT) < 0)
			return err_sys(err, "put a message of %zu bytes back",
				       len);
	}
	return 0;
}

static int sysv_messages_restore(struct restore_ctx *ctx,
				 const ProtobufCMessage *msg, struct err *err)
{
	const SysvMessagesRecord *rec = (const SysvMessagesRecord *)msg;
	const SysvMsgRecord *queue = (const SysvMsgRecord *)ctx->engine->find(
		ctx->engine->arg, TAG_SYSV_MSG, (uint32_t)rec->id);
	struct ipc_visit visit;
	int r;

	if (!queue)
		return err_set(err, -EBADMSG, "messages without a queue %d",
			       rec->id);
	r = ipc_enter_new(ctx, &visit, err);
	if (r < 0)
		return r;
	r = ipc_as_creator(ctx, queue->permissions, err);
	if (r == 0) {
		r = send_all(rec, err);
		ipc_as_root();
	}
	ipc_leave(&visit);
	return r < 0 ? err_wrap(err, r, "queue %d", rec->id) : 0;
}

const struct resource_ops res_sysv_msg = {
	.name = "System V queues",
	.saved = "queues with ids, keys, owners and messages",
	.refused = "what is in the node's IPC namespace",
	.changes = "who sent and received last, and when",
	.tag = TAG_SYSV_MSG,
	.scope = SCOPE_TREE,
	.stage = STAGE_OPEN,
	.check_tree = sysv_msg_check,
	.dump_tree = sysv_msg_dump,
	.restore_file = sysv_msg_restore,
	.stage2 = STAGE_LATE,
	.restore2 = sysv_msg_finish,
};

const struct resource_ops res_sysv_messages = {
	.name = "System V queues",
	.tag = TAG_SYSV_MESSAGES,
	.scope = SCOPE_TREE,
	.stage = STAGE_OPEN,
	.restore_file = sysv_messages_restore,
};
