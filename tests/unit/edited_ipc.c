/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IPC objects of an edited snapshot: none that belongs to another, or exceeds
 * what its user may have, is made.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/edit.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "images/ipc.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "images/task.pb-c.h"
#include "util/cleanup.h"

#define USER 65534

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

static ProtobufCMessage *add_undo(pid_t pid, const ProtobufCMessage *set,
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

static ProtobufCMessage *undo_beyond(pid_t pid, const ProtobufCMessage *set)
{
	return add_undo(pid, set, 3, 1);
}

static ProtobufCMessage *undo_high(pid_t pid, const ProtobufCMessage *set)
{
	return add_undo(pid, set, 0, 32768);
}

static ProtobufCMessage *undo_good(pid_t pid, const ProtobufCMessage *set)
{
	return add_undo(pid, set, 0, -32768);
}

static ProtobufCMessage *message_short(pid_t pid, const ProtobufCMessage *queue)
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

static ProtobufCMessage *message_of_none(pid_t pid,
					 const ProtobufCMessage *queue)
{
	(void)message_short(pid, queue);
	more.messages.id += 1;
	return &more.messages.base;
}

static const struct edit {
	const char *what;
	uint32_t tag;
	void (*apply)(ProtobufCMessage *msg);
	const char *error; /* part of the text; NULL: it is restored */
	uint32_t more;
	ProtobufCMessage *(*add)(pid_t pid, const ProtobufCMessage *msg);
} edits[] = {
	{ "a segment of root", TAG_SYSV_SHM, shm_of_root, "made by user 0" },
	{ "a segment of a group", TAG_SYSV_SHM, shm_of_group, "group 42" },
	{ "a segment given away", TAG_SYSV_SHM, shm_given_away, NULL },
	{ "a segment without memory", TAG_SYSV_SHM, shm_of_nothing,
	  "there is no object" },
	{ "a segment with more than its pages", TAG_SYSV_SHM, shm_with_tail,
	  "its last page" },
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
	  TAG_SYSV_UNDO, undo_beyond },
	{ "an undo beyond all values", TAG_SYSV_SEM, NULL, "no such semaphores",
	  TAG_SYSV_UNDO, undo_high },
	{ "with the smallest undo", TAG_SYSV_SEM, NULL, NULL, TAG_SYSV_UNDO,
	  undo_good },
	{ "a message longer than its data", TAG_SYSV_MSG, NULL, "do not add up",
	  TAG_SYSV_MESSAGES, message_short },
	{ "messages of no queue", TAG_SYSV_MSG, NULL, "without a queue",
	  TAG_SYSV_MESSAGES, message_of_none },
};

struct applying {
	const struct edit *edit; /* NULL: only written again */
	pid_t pid;
	unsigned int applied;
};

static void apply(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	struct applying *a = arg;

	if (tag == TAG_TASK && !a->pid)
		a->pid = ((const TaskRecord *)msg)->pid;
	if (!a->edit || tag != a->edit->tag)
		return;
	a->applied++;
	if (a->edit->apply)
		a->edit->apply(msg);
	if (!a->edit->add)
		return;
	ret->tag = a->edit->more;
	ret->msg = a->edit->add(a->pid, msg);
}

static int snapshot_of_job(const struct drive_place *place, const char *dir,
			   struct err *err)
{
	char script[] = "ipcmk -M 8192 && ipcmk -S 3 && ipcmk -Q && "
			"exec sleep 1000";
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", script, NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	char path[64], comm[32] = "";
	int r = drive_start(place, argv, envp, &job, err);

	for (int i = 0; r == 0 && i < 2000 && strcmp(comm, "sleep\n") != 0;
	     i++) {
		FILE *f;

		usleep(5000);
		snprintf(path, sizeof(path), "/proc/%d/comm",
			 drive_root_pid(job));
		f = fopen(path, "re");
		if (!f || !fgets(comm, sizeof(comm), f))
			comm[0] = '\0';
		if (f)
			fclose(f);
	}
	if (r == 0) {
		r = drive_checkpoint(job, dir, true, o);
		*err = o->err;
	}
	drive_end(job);
	free(o);
	return r;
}

static void restore(const struct drive_place *place, const char *dir,
		    const struct edit *edit)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int r = drive_restore(place, dir, &job, o);

	if (!edit || !edit->error)
		ok(r == 0, "%s, it is restored: %s",
		   edit ? edit->what : "written again",
		   r < 0 ? o->err.text : "yes");
	else
		ok(r < 0 && strstr(o->err.text, edit->error),
		   "%s is not to be had: %s", edit->what,
		   r < 0 ? o->err.text : "restored");
	drive_end(job);
	free(o);
}

static void run(const struct drive_place *place, const char *dir)
{
	struct err err = { 0 };
	char path[100], copy[400];

	snprintf(path, sizeof(path), "%s/image", dir);
	if (!ok(snapshot_of_job(place, path, &err) == 0,
		"a user's job is saved: %s", err.text))
		return;
	snprintf(copy, sizeof(copy), "cp -a %s %s.whole", path, path);
	if (!ok(system(copy) == 0, "its snapshot is copied"))
		return;
	snprintf(copy, sizeof(copy), "rm -r %s && cp -a %s.whole %s", path,
		 path, path);
	for (size_t i = 0; i <= ARRAY_SIZE(edits); i++) {
		struct applying a = { .edit = i ? &edits[i - 1] : NULL };

		if (snapshot_edit(path, apply, &a, &err) < 0 ||
		    (a.edit && a.applied != 1))
			ok(false, "edit: %u times: %s", a.applied, err.text);
		else
			restore(place, path, a.edit);
		if (system(copy) != 0)
			ok(false, "its snapshot is copied again");
	}
}

int main(void)
{
	const struct drive_place place = { .uid = USER,
					   .gid = USER,
					   .cwd = "/" };
	char dir[64];

	if (geteuid() != 0)
		skip_all("needs root");
	if (access("/usr/bin/ipcmk", X_OK) < 0)
		skip_all("no ipcmk");
	close(temp_dir(dir));
	if (chmod(dir, 0755) < 0)
		return 1;
	run(&place, dir);
	temp_dir_remove(dir);
	return done_testing();
}
