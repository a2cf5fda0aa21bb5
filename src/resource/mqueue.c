// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * POSIX message queues.  Nothing tells what is in one but to take it out, and
 * who is killed between that and putting it back has lost it: the supervisor
 * does it, whose death is the job's (util/queue_copy.h).  All that stands
 * still waits for nothing there, and a notification is refused: so nobody
 * sees that the queue was empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "images/files.pb-c.h"
#include "images/tags.h"
#include "resource/ipc_object.h"
#include "resource/open_file.h"
#include "util/cleanup.h"
#include "util/queue_copy.h"

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif

#define NAME_BYTES 256u
#define DELETED    " (deleted)"
/* Of OBJECT_MQUEUE: not only known, but in the image. */
#define PUT       1
#define BATCH_MAX 4096 /* messages in one record */

/* A queue by a descriptor of ours that can read. */
struct queue {
	char name[NAME_BYTES];
	struct stat st;
	struct mq_attr attr;
	struct queue_state state;
};

static int read_queue(int fd, struct queue *ret, struct err *err)
{
	if (fstat(fd, &ret->st) < 0)
		return err_sys(err, "fstat");
	if (mq_getattr((mqd_t)fd, &ret->attr) < 0)
		return err_sys(err, "mq_getattr");
	return queue_state_read(fd, &ret->state, err);
}

static void check_queue(const struct queue *q, pid_t pid, const char *comm,
			int fd, struct refusals *no)
{
	if (q->state.bytes > QUEUE_COPY_BYTES ||
	    (q->attr.mq_curmsgs && q->attr.mq_msgsize > QUEUE_COPY_MESSAGE))
		refusals_add(no, pid, comm, fd,
			     "let the job receive its messages first",
			     "the POSIX message queue /%s has messages of %llu "
			     "bytes, of %ld at the most, more than %u of %u",
			     q->name, (unsigned long long)q->state.bytes,
			     q->attr.mq_msgsize, QUEUE_COPY_BYTES,
			     QUEUE_COPY_MESSAGE);
	if (q->state.notified)
		refusals_add(no, pid, comm, fd,
			     "wait with mq_receive or poll instead",
			     "the POSIX message queue /%s has a process to "
			     "notify (mq_notify)",
			     q->name);
}

static int number_of(const struct dump_ctx *ctx, const struct queue *q,
		     uint32_t *ret, struct err *err)
{
	return object_get(ctx->objects, OBJECT_MQUEUE, q->st.st_dev,
			  q->st.st_ino, 0, ret, NULL, err);
}

struct batch {
	MqueueMessagesRecord rec;
	uint32_t priorities[BATCH_MAX], sizes[BATCH_MAX];
	uint8_t data[QUEUE_COPY_MESSAGE]; /* none is longer than that */
};

static int put_batch(const struct dump_ctx *ctx, struct batch *b,
		     struct err *err)
{
	int r = 0;

	if (b->rec.n_sizes)
		r = img_put(ctx->out, TAG_MQUEUE_MESSAGES, &b->rec.base, err);
	b->rec.n_priorities = b->rec.n_sizes = b->rec.data.len = 0;
	return r;
}

static int add_message(const struct dump_ctx *ctx, struct batch *b, int file,
		       const struct queue_copy *head, struct err *err)
{
	int r = 0;

	if (head->len > sizeof(b->data))
		return err_set(err, -EBADMSG, "message of %u bytes", head->len);
	if (b->rec.n_sizes == BATCH_MAX ||
	    head->len > sizeof(b->data) - b->rec.data.len)
		r = put_batch(ctx, b, err);
	if (r < 0)
		return r;
	if (read(file, b->data + b->rec.data.len, head->len) != head->len)
		return err_sys(err, "message of %u bytes", head->len);
	b->priorities[b->rec.n_priorities++] = head->priority;
	b->sizes[b->rec.n_sizes++] = head->len;
	b->rec.data.len += head->len;
	return 0;
}

static int put_copy(const struct dump_ctx *ctx, uint32_t queue, int file,
		    struct err *err)
{
	auto_free struct batch *b = malloc(sizeof(*b));
	struct queue_copy head;
	ssize_t n = 0;
	int r = 0;

	if (!b)
		return err_num(err, ENOMEM, "messages");
	mqueue_messages_record__init(&b->rec);
	b->rec.queue = queue;
	b->rec.priorities = b->priorities;
	b->rec.sizes = b->sizes;
	b->rec.data.data = b->data;
	if (lseek(file, 0, SEEK_SET) < 0)
		return err_sys(err, "copy of a message queue");
	while (r == 0 && (n = read(file, &head, sizeof(head))) == sizeof(head))
		r = add_message(ctx, b, file, &head, err);
	if (r == 0 && n != 0)
		r = err_set(err, -EIO, "copy of a message queue");
	return r < 0 ? r : put_batch(ctx, b, err);
}

/* own: a descriptor of the queue. */
static int put_messages(const struct dump_ctx *ctx, const struct queue *q,
			int own, uint32_t queue, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_close int both = -EBADF, file = -EBADF;
	char path[32];
	int r;

	if (!q->attr.mq_curmsgs)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	both = open(path, O_RDWR | O_CLOEXEC);
	if (both < 0)
		return err_sys(err, "open again");
	r = e->copy_out(e->arg, COPY_QUEUE, both, &file, err);
	return r < 0 ? r : put_copy(ctx, queue, file, err);
}

static int put_queue(const struct dump_ctx *ctx, const struct queue *q, int own,
		     struct err *err)
{
	MqueueRecord rec = MQUEUE_RECORD__INIT;
	uint32_t unused;
	bool first;
	int r;

	r = number_of(ctx, q, &rec.queue, err);
	if (r == 0)
		r = object_get(ctx->objects, OBJECT_MQUEUE, q->st.st_dev,
			       q->st.st_ino, PUT, &unused, &first, err);
	if (r < 0 || !first)
		return r;
	rec.name.data = (uint8_t *)q->name;
	rec.name.len = strlen(q->name);
	rec.linked = q->st.st_nlink != 0;
	rec.maximum = (uint64_t)q->attr.mq_maxmsg;
	rec.size = (uint64_t)q->attr.mq_msgsize;
	rec.mode = q->st.st_mode & 07777;
	rec.uid = q->st.st_uid;
	rec.gid = q->st.st_gid;
	r = img_put(ctx->out, TAG_MQUEUE, &rec.base, err);
	return r < 0 ? r : put_messages(ctx, q, own, rec.queue, err);
}

/* ---- all that have a name -------------------------------------------------
 */

/* A mount of our own, which nobody sees. */
static int open_queues(struct err *err)
{
	auto_close int fs = (int)syscall(SYS_fsopen, "mqueue", 1);
	int fd;

	if (fs < 0)
		return err_sys(err, "fsopen mqueue");
	if (syscall(SYS_fsconfig, fs, 6, NULL, NULL, 0) < 0)
		return err_sys(err, "fsconfig mqueue");
	fd = (int)syscall(SYS_fsmount, fs, 1, 0);
	return fd < 0 ? err_sys(err, "fsmount mqueue") : fd;
}

/* own: a descriptor of it. */
typedef int (*queue_fn)(const struct dump_ctx *ctx, const struct queue *q,
			int own, void *arg, struct err *err);

static int look_at(const struct dump_ctx *ctx, int dir_fd, const char *name,
		   queue_fn fn, void *arg, struct err *err)
{
	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	struct queue q = { 0 };
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(err, "open");
	(void)snprintf(q.name, sizeof(q.name), "%s", name);
	r = read_queue(fd, &q, err);
	return r < 0 ? r : fn(ctx, &q, fd, arg, err);
}

static int each_inside(const struct dump_ctx *ctx, queue_fn fn, void *arg,
		       struct err *err)
{
	auto_close int mount = open_queues(err);
	auto_closedir DIR *dir = NULL;
	struct dirent *d;
	int fd, r = 0;

	if (mount < 0)
		return mount == -ENODEV ? 0 : mount;
	fd = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = err_sys(err, "message queues");
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (d = readdir(dir))) {
		if (d->d_name[0] == '.' &&
		    (!d->d_name[1] || !strcmp(d->d_name, "..")))
			continue;
		r = look_at(ctx, fd, d->d_name, fn, arg, err);
		if (r < 0)
			err_wrap(err, r, "message queue /%s", d->d_name);
	}
	return r;
}

static int each_queue(const struct dump_ctx *ctx, queue_fn fn, void *arg,
		      struct err *err)
{
	struct ipc_visit visit;
	int r;

	if (!ipc_is_jobs(ctx))
		return 0;
	r = ipc_enter_jobs(ctx, &visit, err);
	if (r < 0)
		return r;
	r = each_inside(ctx, fn, arg, err);
	ipc_leave(&visit);
	return r;
}

static int check_named(const struct dump_ctx *ctx, const struct queue *q,
		       int own, void *arg, struct err *err)
{
	const uint32_t owner = ctx->options->owner_uid;

	(void)own;
	(void)err;
	check_queue(q, 0, "", -1, arg);
	if (owner && q->st.st_uid != owner)
		refusals_add(arg, 0, "", -1, "remove it",
			     "the POSIX message queue /%s belongs to user %u",
			     q->name, q->st.st_uid);
	return 0;
}

static int mqueue_check(const struct dump_ctx *ctx, struct refusals *no,
			struct err *err)
{
	return each_queue(ctx, check_named, no, err);
}

static int dump_named(const struct dump_ctx *ctx, const struct queue *q,
		      int own, void *arg, struct err *err)
{
	(void)arg;
	return put_queue(ctx, q, own, err);
}

static int mqueue_dump(const struct dump_ctx *ctx, struct err *err)
{
	return each_queue(ctx, dump_named, NULL, err);
}

static int make_queue(const MqueueRecord *rec, const char *name, gid_t gid,
		      struct err *err)
{
	struct mq_attr attr = { .mq_maxmsg = (long)rec->maximum,
				.mq_msgsize = (long)rec->size };
	auto_close int fd = (int)syscall(SYS_mq_open, name,
					 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
					 0600, &attr);

	if (fd < 0)
		return err_sys(err, "mq_open");
	if (fchown(fd, (uid_t)-1, gid) < 0)
		return err_sys(err, "group");
	if (fchmod(fd, rec->mode & 0777) < 0)
		return err_sys(err, "mode");
	if (!rec->linked && syscall(SYS_mq_unlink, name) < 0)
		return err_sys(err, "mq_unlink");
	return take_fd(&fd);
}

static int mqueue_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			  struct err *err)
{
	const MqueueRecord *rec = (const MqueueRecord *)msg;
	IpcPermissions maker = IPC_PERMISSIONS__INIT;
	char name[NAME_BYTES] = "";
	struct ipc_visit visit;
	int fd, r;

	if (!rec->name.len || rec->name.len >= NAME_BYTES ||
	    memchr(rec->name.data, 0, rec->name.len) ||
	    memchr(rec->name.data, '/', rec->name.len))
		return err_set(err, -EBADMSG, "bad name of a queue");
	memcpy(name, rec->name.data, rec->name.len);
	maker.cuid = rec->uid;
	maker.cgid = rec->gid;
	r = ipc_enter_new(ctx, &visit, err);
	if (r < 0)
		return r;
	fd = ipc_as_creator(ctx, &maker, err);
	if (fd == 0) {
		fd = make_queue(rec, name, rec->gid, err);
		ipc_as_root();
	}
	ipc_leave(&visit);
	return fd < 0 ? err_wrap(err, fd, "/%s", name)
		      : ctx->engine->set_fd(ctx->engine->arg, rec->queue, fd,
					    err);
}

/* Nobody else has it yet, and it has the order of the record. */
static int send_all(int queue, const MqueueMessagesRecord *rec, struct err *err)
{
	const struct timespec at_once = { 0, 0 };
	size_t at = 0;

	if (rec->n_sizes != rec->n_priorities)
		return err_set(err, -EBADMSG, "messages do not add up");
	for (size_t i = 0; i < rec->n_sizes; i++) {
		if (rec->sizes[i] > rec->data.len - at)
			return err_set(err, -EBADMSG, "messages do not add up");
		if (syscall(SYS_mq_timedsend, queue, rec->data.data + at,
			    (size_t)rec->sizes[i], rec->priorities[i],
			    &at_once) < 0)
			return errno == ETIMEDOUT
				       ? err_set(err, -EBADMSG,
						 "more messages than it takes")
				       : err_sys(err,
						 "put a message of %u bytes "
						 "back",
						 rec->sizes[i]);
		at += rec->sizes[i];
	}
	return 0;
}

static int messages_restore(struct restore_ctx *ctx,
			    const ProtobufCMessage *msg, struct err *err)
{
	const MqueueMessagesRecord *rec = (const MqueueMessagesRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int queue = e->get_fd(e->arg, rec->queue);

	if (queue < 0 || !e->find(e->arg, TAG_MQUEUE, rec->queue))
		return err_set(err, -EBADMSG, "messages without a queue %u",
			       rec->queue);
	return send_all(queue, rec, err);
}

/* ---- those that are open --------------------------------------------------
 */

static bool mqueue_fd_match(const struct fd_view *fd)
{
	struct statfs fs;

	return S_ISREG(fd->stat->st_mode) && fd->fd >= 0 &&
	       !(fd->flags & O_PATH) && fstatfs(fd->own_fd, &fs) == 0 &&
	       fs.f_type == MQUEUE_MAGIC;
}

static int read_view(const struct fd_view *fd, struct queue *ret,
		     struct err *err)
{
	const char *base = strrchr(fd->link, '/');
	auto_close int reader = -EBADF;
	char path[32];
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd->own_fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return err_sys(err, "open again");
	len = base ? strlen(base + 1) : 0;
	if (!fd->stat->st_nlink && len > strlen(DELETED))
		len -= strlen(DELETED);
	if (!len || len >= sizeof(ret->name))
		return err_set(err, -EINVAL, "name of a queue: %s", fd->link);
	memcpy(ret->name, base + 1, len);
	ret->name[len] = '\0';
	return read_queue(reader, ret, err);
}

static int mqueue_fd_check(const struct dump_ctx *ctx, const struct fd_view *fd,
			   struct refusals *no, struct err *err)
{
	const uint32_t owner = ctx->options->owner_uid;
	struct queue q = { 0 };
	int r;

	if (!ipc_is_jobs(ctx)) {
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			     "run the job with an IPC namespace of its own "
			     "(--ipc=private, PrivateIPC)",
			     "POSIX message queue %s of the node", fd->link);
		return 0;
	}
	r = read_view(fd, &q, err);
	if (r < 0)
		return r;
	/* One with a name is looked at with all others. */
	if (!q.st.st_nlink) {
		check_queue(&q, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
			    no);
		if (owner && q.st.st_uid != owner)
			refusals_add(no, fd->task->ns_pid, fd->task->stat->comm,
				     fd->fd, "close it",
				     "the POSIX message queue %s belongs to "
				     "user %u",
				     fd->link, q.st.st_uid);
	}
	return open_file_check(ctx, fd, no, err);
}

static int mqueue_fd_dump(const struct dump_ctx *ctx, const struct fd_view *fd,
			  struct err *err)
{
	MqueueFdRecord rec = MQUEUE_FD_RECORD__INIT;
	OpenFile open = OPEN_FILE__INIT;
	struct queue q = { 0 };
	int r;

	rec.open = &open;
	r = open_file_fill(ctx, fd, &open, err);
	if (r == 0)
		r = read_view(fd, &q, err);
	if (r == 0)
		r = number_of(ctx, &q, &rec.queue, err);
	/* Others may have got its name: it is made before them. */
	if (r == 0 && !q.st.st_nlink)
		r = put_queue(ctx, &q, fd->own_fd, err);
	return r < 0 ? r : img_put(ctx->out, TAG_MQUEUE_FD, &rec.base, err);
}

/* Queues are made by us: only these may be opened with our rights. */
static int mqueue_fd_restore(struct restore_ctx *ctx,
			     const ProtobufCMessage *msg, struct err *err)
{
	const MqueueFdRecord *rec = (const MqueueFdRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int queue = e->get_fd(e->arg, rec->queue);
	int fd;

	if (queue < 0 || !e->find(e->arg, TAG_MQUEUE, rec->queue))
		return err_set(err, -EBADMSG, "message queue %u is not there",
			       rec->queue);
	fd = open_file_again(queue, rec->open, err);
	return fd < 0 ? fd : e->set_fd(e->arg, rec->open->object, fd, err);
}

static int mqueue_fd_late(struct restore_ctx *ctx, struct restore_task *task,
			  int fd, const ProtobufCMessage *msg, struct err *err)
{
	const MqueueFdRecord *rec = (const MqueueFdRecord *)msg;

	return open_file_late(ctx, task, fd, rec->open, err);
}

const struct resource_ops res_mqueue = {
	.name = "POSIX message queue",
	.saved = "queues with names, owners, limits and messages",
	.refused = "queues with a notification (mq_notify), and those of the "
		   "node",
	.changes = "when a queue was used last; O_LARGEFILE in F_GETFL",
	.tag = TAG_MQUEUE,
	.scope = SCOPE_TREE,
	.stage = STAGE_OPEN,
	.check_tree = mqueue_check,
	.dump_tree = mqueue_dump,
	.restore_file = mqueue_restore,
};

const struct resource_ops res_mqueue_messages = {
	.name = "POSIX message queue",
	.tag = TAG_MQUEUE_MESSAGES,
	.scope = SCOPE_TREE,
	.stage = STAGE_OPEN,
	.restore_file = messages_restore,
};

const struct resource_ops res_mqueue_fd = {
	.name = "POSIX message queue",
	.tag = TAG_MQUEUE_FD,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = mqueue_fd_match,
	.check_file = mqueue_fd_check,
	.dump_file = mqueue_fd_dump,
	.restore_file = mqueue_fd_restore,
	.late_file = mqueue_fd_late,
};
