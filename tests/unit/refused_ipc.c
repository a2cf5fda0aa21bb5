// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPC objects in a user's job that cannot be saved, whoever has brought them
 * there: each is refused by name, and when it is gone the job is saved.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/edited.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "util/cleanup.h"

#define USER  EDITED_USER
#define LARGE 65537 /* semaphores of one set */

static int write_limit(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static int segment(void)
{
	return shmget(IPC_PRIVATE, 5000, 0600);
}

static int remove_segment(int id)
{
	return shmctl(id, IPC_RMID, NULL);
}

static int set(void)
{
	return semget(IPC_PRIVATE, 1, 0600);
}

/* The limit of the namespace is raised for it. */
static int large_set(void)
{
	if (write_limit("/proc/sys/kernel/sem", "70000 140000 32 128") < 0 ||
	    setresuid(USER, USER, 0) < 0)
		return -1;
	return semget(IPC_PRIVATE, LARGE, 0600);
}

static int remove_set(int id)
{
	return semctl(id, 0, IPC_RMID);
}

static int queue(void)
{
	return msgget(IPC_PRIVATE, 0600);
}

static int remove_queue(int id)
{
	return msgctl(id, IPC_RMID, NULL);
}

static int posix_queue(void)
{
	mqd_t q = mq_open("/others", O_CREAT | O_RDWR | O_EXCL, 0600, NULL);

	return q < 0 ? -1 : 0;
}

static int remove_posix_queue(int id)
{
	(void)id;
	return mq_unlink("/others");
}

/* It makes no object. */
static int force(void)
{
	return write_limit("/proc/sys/kernel/shm_rmid_forced", "1");
}

static int force_no_more(int id)
{
	(void)id;
	return write_limit("/proc/sys/kernel/shm_rmid_forced", "0");
}

/* The job: a segment is all that it has. */
static int be_job(void)
{
	if (segment() < 0)
		return 1;
	printf("up\n");
	fflush(stdout);
	for (;;)
		pause();
}

static const struct object {
	const char *what;
	int (*make)(void);
	int (*remove)(int id);
	const char *finding; /* part of the text */
} objects[] = {
	{ "a segment of root", segment, remove_segment,
	  "shared memory segment (id 1) that user 0 has made" },
	{ "a set of root", set, remove_set,
	  "semaphore set (id 0) that user 0 has made" },
	{ "a queue of root", queue, remove_queue,
	  "message queue (id 0) that user 0 has made" },
	{ "a POSIX queue of root", posix_queue, remove_posix_queue,
	  "message queue /others belongs to user 0" },
	{ "a set that is too large", large_set, remove_set,
	  "of 65537 semaphores, more than 65536" },
	{ "kernel.shm_rmid_forced", force, force_no_more,
	  "which the kernel removes when its maker has ended" },
};

/* In a child, which is in the job's namespace; -1: it cannot be. */
static int inside(const struct drive_job *job, const struct object *o, int id)
{
	auto_close int ns = -EBADF;
	char path[64];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/ns/ipc",
		 (int)drive_root_pid(job));
	ns = open(path, O_RDONLY | O_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		if (ns < 0 || setns(ns, CLONE_NEWIPC) < 0)
			_exit(255);
		id = id < 0 ? o->make() : o->remove(id);
		_exit(id < 0 ? 255 : id & 127);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 255)
		return -1;
	return WEXITSTATUS(status);
}

static bool is_refused(struct drive_job *job, const char *image,
		       const char *finding)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	bool found = false;

	if (drive_checkpoint(job, image, false, o) == 0)
		diag("it is saved");
	for (size_t i = 0; i < o->refused; i++) {
		found |= strstr(o->finding[i], finding) != NULL;
		diag("%s", o->finding[i]);
	}
	free(o);
	return found;
}

static void run(struct drive_job *job, const char *dir)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	char image[100];

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		const struct object *object = &objects[i];
		int id = inside(job, object, -1);

		snprintf(image, sizeof(image), "%s/image%zu", dir, i);
		ok(id >= 0 && is_refused(job, image, object->finding),
		   "%s is refused", object->what);
		ok(id >= 0 && inside(job, object, id) >= 0, "and removed");
	}
	snprintf(image, sizeof(image), "%s/image", dir);
	ok(drive_checkpoint(job, image, false, o) == 0,
	   "without all of them the job is saved: %s", o->err.text);
	free(o);
}

int main(int argc, char **argv)
{
	struct drive_place place = { .uid = USER, .gid = USER, .cwd = "/" };
	struct drive_job *job = NULL;
	struct err err = { 0 };
	char dir[64];

	if (argc > 1)
		return be_job();
	if (geteuid() != 0)
		skip_all("needs root");
	close(temp_dir(dir));
	if (chmod(dir, 0777) < 0)
		return 1;
	if (ok(edited_start_self(&place, dir, argv[0], &job, &err) == 0,
	       "a user's job: %s", err.text))
		run(job, dir);
	drive_end(job);
	temp_dir_remove(dir);
	return done_testing();
}
