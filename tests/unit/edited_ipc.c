/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IPC objects of an edited snapshot: none that belongs to another, or exceeds
 * what its user may have, is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "../lib/edited.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/ipc.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "util/cleanup.h"

/* One object of each kind. */
static int be_job(void)
{
	struct mq_attr attr = { .mq_maxmsg = 3, .mq_msgsize = 8 };
	mqd_t q = mq_open("/edited", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	if (shmget(IPC_PRIVATE, 8192, 0600) < 0 ||
	    semget(IPC_PRIVATE, 3, 0600) < 0 || msgget(IPC_PRIVATE, 0600) < 0 ||
	    q < 0 || mq_send(q, "one", 3, 1) < 0 || mq_send(q, "two", 3, 1) < 0)
		return 1;
	printf("up\n");
	fflush(stdout);
	for (;;)
		pause();
}

static void shm_of_root(ProtobufCMessage *msg)
{
	((SysvShmRecord *)msg)->permissions->cuid = 0;
}

static void shm_of_group(ProtobufCMessage *msg)
{
	((SysvShmRecord *)msg)->permissions->cgid = 42;
}

static void shm_given_away(ProtobufCMessage *msg)
{
	((SysvShmRecord *)msg)->permissions->uid = 0;
}

static void shm_of_nothing(ProtobufCMessage *msg)
{
	((SysvShmRecord *)msg)->object += 1000;
}

static void shm_with_tail(ProtobufCMessage *msg)
{
	SysvShmRecord *rec = (SysvShmRecord *)msg;

	rec->has_tail = 1;
	rec->tail.len = 3;
	rec->tail.data = calloc(1, 3);
}

static void memory_of_nothing(ProtobufCMessage *msg)
{
	((ShmemRecord *)msg)->size = 0;
}

static void memory_of_all(ProtobufCMessage *msg)
{
	((ShmemRecord *)msg)->size = 1ull << 62;
}

static void shm_longer(ProtobufCMessage *msg)
{
	((SysvShmRecord *)msg)->size++;
}

static void shm_shorter(ProtobufCMessage *msg)
{
	((SysvShmRecord *)msg)->size -= 4096;
}

static void shm_locked(ProtobufCMessage *msg)
{
	((SysvShmRecord *)msg)->locked = 1;
}

/* Less than the segment is. */
static void limit_locks(void)
{
	const struct rlimit most = { 4096, 4096 };

	(void)setrlimit(RLIMIT_MEMLOCK, &most);
}

static void sem_of_root(ProtobufCMessage *msg)
{
	((SysvSemRecord *)msg)->permissions->cuid = 0;
}

static void sem_high(ProtobufCMessage *msg)
{
	((SysvSemRecord *)msg)->values[1] = 32768;
}

static void sem_none(ProtobufCMessage *msg)
{
	((SysvSemRecord *)msg)->n_values = 0;
}

static void sem_negative(ProtobufCMessage *msg)
{
	((SysvSemRecord *)msg)->id = -1;
}

static void msg_of_root(ProtobufCMessage *msg)
{
	((SysvMsgRecord *)msg)->permissions->cuid = 0;
}

static void msg_wide(ProtobufCMessage *msg)
{
	((SysvMsgRecord *)msg)->bytes = 1u << 30;
}

/* Records that the snapshot has not. */
static union {
	SysvUndoRecord undo;
	SysvMessagesRecord messages;
} more;
static SysvUndo undo, *undos[1] = { &undo };
static int64_t type = 1;
static uint32_t size = 9;

static ProtobufCMessage *add_undo(pid_t pid, ProtobufCMessage *set,
				  uint32_t number, int32_t adjustment)
{
	sysv_undo_record__init(&more.undo);
	sysv_undo__init(&undo);
	undo.number = number;
	undo.adjustment = adjustment;
	more.undo.pid = pid;
	more.undo.id = ((const SysvSemRecord *)set)->id;
	more.undo.undos = undos;
	more.undo.n_undos = 1;
	return &more.undo.base;
}

static ProtobufCMessage *undo_beyond(pid_t pid, ProtobufCMessage *set)
{
	return add_undo(pid, set, 3, 1);
}

static ProtobufCMessage *undo_high(pid_t pid, ProtobufCMessage *set)
{
	return add_undo(pid, set, 0, 32768);
}

static ProtobufCMessage *undo_good(pid_t pid, ProtobufCMessage *set)
{
	return add_undo(pid, set, 0, -32768);
}

static ProtobufCMessage *message_short(pid_t pid, ProtobufCMessage *queue)
{
	(void)pid;
	sysv_messages_record__init(&more.messages);
	more.messages.id = ((const SysvMsgRecord *)queue)->id;
	more.messages.types = &type;
	more.messages.n_types = 1;
	more.messages.sizes = &size;
	more.messages.n_sizes = 1;
	more.messages.data.data = (uint8_t *)"12345678";
	more.messages.data.len = 8;
	return &more.messages.base;
}

static ProtobufCMessage *message_of_none(pid_t pid, ProtobufCMessage *queue)
{
	(void)message_short(pid, queue);
	more.messages.id += 1;
	return &more.messages.base;
}

static MqueueMessagesRecord *messages(ProtobufCMessage *msg)
{
	return (MqueueMessagesRecord *)msg;
}

static void mq_of_root(ProtobufCMessage *msg)
{
	((MqueueRecord *)msg)->uid = 0;
}

static void mq_in_directory(ProtobufCMessage *msg)
{
	((MqueueRecord *)msg)->name.data[0] = '/';
}

static void mq_of_none(ProtobufCMessage *msg)
{
	messages(msg)->queue += 1000;
}

static void mq_beyond(ProtobufCMessage *msg)
{
	messages(msg)->sizes[1] = UINT32_MAX;
}

static void mq_uneven(ProtobufCMessage *msg)
{
	messages(msg)->n_priorities = 1;
}

static void mq_urgent(ProtobufCMessage *msg)
{
	messages(msg)->priorities[0] = 32768;
}

static void mq_long(ProtobufCMessage *msg)
{
	MqueueMessagesRecord *rec = messages(msg);

	free(rec->data.data);
	rec->data.data = calloc(1, 16);
	rec->data.len = 16;
	rec->sizes[0] = 9;
}

static void mq_many(ProtobufCMessage *msg)
{
	MqueueMessagesRecord *rec = messages(msg);

	free(rec->priorities);
	free(rec->sizes);
	rec->n_priorities = rec->n_sizes = 4;
	rec->priorities = calloc(4, sizeof(uint32_t));
	rec->sizes = calloc(4, sizeof(uint32_t));
}

static const struct edited_case cases[] = {
	{ "a segment of root", TAG_SYSV_SHM, shm_of_root, "made by user 0" },
	{ "a segment of a group", TAG_SYSV_SHM, shm_of_group, "group 42" },
	{ "a segment given away", TAG_SYSV_SHM, shm_given_away, NULL },
	{ "a segment without memory", TAG_SYSV_SHM, shm_of_nothing,
	  "there is no shared memory" },
	{ "a segment with more than its pages", TAG_SYSV_SHM, shm_with_tail,
	  "its last page" },
	{ "a segment that is locked", TAG_SYSV_SHM, shm_locked,
	  "LimitMEMLOCK" },
	{ "memory of no bytes", TAG_SHMEM, memory_of_nothing, "has no memory" },
	{ "memory of all bytes", TAG_SHMEM, memory_of_all, "has no memory" },
	{ "a segment longer than its memory", TAG_SYSV_SHM, shm_longer,
	  "has no memory" },
	{ "a segment shorter than its memory", TAG_SYSV_SHM, shm_shorter,
	  "has no memory" },
	{ "a set of root", TAG_SYSV_SEM, sem_of_root, "made by user 0" },
	{ "a high value", TAG_SYSV_SEM, sem_high, "value 32768" },
	{ "an empty set", TAG_SYSV_SEM, sem_none, "0 semaphores" },
	{ "a negative id", TAG_SYSV_SEM, sem_negative, "set -1" },
	{ "a queue of root", TAG_SYSV_MSG, msg_of_root, "made by user 0" },
	{ "a queue of any size", TAG_SYSV_MSG, msg_wide, "1073741824 bytes" },
	{ "a POSIX queue of root", TAG_MQUEUE, mq_of_root, "made by user 0" },
	{ "one in a directory", TAG_MQUEUE, mq_in_directory, "bad name" },
	{ "messages of no POSIX queue", TAG_MQUEUE_MESSAGES, mq_of_none,
	  "without a queue" },
	{ "messages beyond their data", TAG_MQUEUE_MESSAGES, mq_beyond,
	  "do not add up" },
	{ "messages without a priority", TAG_MQUEUE_MESSAGES, mq_uneven,
	  "do not add up" },
	{ "a priority that is none", TAG_MQUEUE_MESSAGES, mq_urgent,
	  "Invalid argument" },
	{ "a message that is too long", TAG_MQUEUE_MESSAGES, mq_long,
	  "Message too long" },
	{ "more messages than it takes", TAG_MQUEUE_MESSAGES, mq_many,
	  "more messages than it takes" },
	{ "an undo of no semaphore", TAG_SYSV_SEM, NULL, "no such semaphores",
	  .more = TAG_SYSV_UNDO, .add = undo_beyond },
	{ "an undo beyond all values", TAG_SYSV_SEM, NULL, "no such semaphores",
	  .more = TAG_SYSV_UNDO, .add = undo_high },
	{ "with the smallest undo", TAG_SYSV_SEM, NULL, NULL,
	  .more = TAG_SYSV_UNDO, .add = undo_good },
	{ "a message longer than its data", TAG_SYSV_MSG, NULL, "do not add up",
	  .more = TAG_SYSV_MESSAGES, .add = message_short },
	{ "messages of no queue", TAG_SYSV_MSG, NULL, "without a queue",
	  .more = TAG_SYSV_MESSAGES, .add = message_of_none },
};

int main(int argc, char **argv)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.mode = 0777,
		.job = be_job,
		.prepare = limit_locks,
	};

	return edited_main(argc, argv, &test);
}
