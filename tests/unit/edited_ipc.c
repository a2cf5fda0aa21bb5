/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IPC objects of an edited snapshot: none that belongs to another, or exceeds
 * what its user may have, is made.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../lib/edited.h"
#include "../lib/tap.h"
#include "images/ipc.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "util/cleanup.h"

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

static const struct edited_case cases[] = {
	{ "a segment of root", TAG_SYSV_SHM, shm_of_root, "made by user 0" },
	{ "a segment of a group", TAG_SYSV_SHM, shm_of_group, "group 42" },
	{ "a segment given away", TAG_SYSV_SHM, shm_given_away, NULL },
	{ "a segment without memory", TAG_SYSV_SHM, shm_of_nothing,
	  "there is no object" },
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

static int start(struct drive_place *place, const char *dir,
		 struct drive_job **ret, struct err *err)
{
	char script[] = "ipcmk -M 8192 && ipcmk -S 3 && ipcmk -Q && "
			"exec sleep 1000";
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", script, NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	int r;

	(void)dir;
	place->prepare = limit_locks;
	r = drive_start(place, argv, envp, ret, err);
	return r < 0 ? r : edited_await_program(*ret, "sleep", err);
}

int main(void)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.mode = 0755,
		.start = start,
	};

	if (access("/usr/bin/ipcmk", X_OK) < 0)
		skip_all("no ipcmk");
	return edited_main(&test);
}
