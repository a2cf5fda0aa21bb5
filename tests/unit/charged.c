/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a user may have in all of instances of inotify and of message queues
 * counts for that user when it is restored, and not for root, who would run
 * out of it.  The program is the job too.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "util/cleanup.h"

#define MOST 1000

static mqd_t make_queue(int n)
{
	struct mq_attr large = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
	char name[32];

	(void)snprintf(name, sizeof(name), "/charged-%d", n);
	return mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &large);
}

/* How many more there may be. */
static int count_groups(void)
{
	int fds[MOST], n = 0;

	while (n < MOST && (fds[n] = inotify_init1(0)) >= 0)
		n++;
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return n;
}

static int count_queues(void)
{
	mqd_t queues[MOST];
	char name[32];
	int n = 0;

	while (n < MOST && (queues[n] = make_queue(100 + n)) >= 0)
		n++;
	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "/charged-%d", 100 + i);
		mq_close(queues[i]);
		mq_unlink(name);
	}
	return n;
}

static int job(void)
{
	int groups, queues, fd;

	for (int i = 0; i < 3; i++)
		if (inotify_init1(0) < 0 || make_queue(i) < 0)
			return 4;
	groups = count_groups();
	queues = count_queues();
	fd = creat("ready", 0600);
	if (fd < 0 || close(fd) < 0)
		return 8;
	while (access("go", F_OK) < 0)
		usleep(1000);
	/* The kernel takes its time with the namespace of a job that ended. */
	for (int i = 0; i < 1000 && count_queues() != queues; i++)
		usleep(10000);
	return (count_groups() != groups ? 1 : 0) |
	       (count_queues() != queues ? 2 : 0);
}

static bool appears(const char *path)
{
	for (int i = 0; i < 10000; i++) {
		if (access(path, F_OK) == 0)
			return true;
		usleep(1000);
	}
	return false;
}

static int restore(const struct drive_place *place, const char *image,
		   const char *go, int *ret_status, struct err *err)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	int fd, r = drive_restore(place, image, &job, o);

	*err = o->err;
	fd = creat(go, 0644);
	if (fd >= 0)
		close(fd);
	if (r == 0)
		r = drive_wait(job, 10000000000ull, ret_status, err);
	drive_end(job);
	free(o);
	return r;
}

static void run(const struct drive_place *place, const char *dir, char *self)
{
	char *argv[] = { self, (char *)"job", NULL }, *envp[] = { NULL };
	struct drive_outcome *o = calloc(1, sizeof(*o));
	struct drive_job *job = NULL;
	struct err err = { 0 };
	char ready[100], image[100], go[100];
	int status = -1, r;

	snprintf(ready, sizeof(ready), "%s/ready", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(go, sizeof(go), "%s/go", dir);
	ok(drive_start(place, argv, envp, &job, &err) == 0 && appears(ready),
	   "a job counts what it may have: %s", err.text);
	r = drive_checkpoint(job, image, true, o);
	ok(r == 0, "it is saved: %s", o->err.text);
	drive_end(job);
	free(o);
	ok(restore(place, image, go, &status, &err) == 0 && WIFEXITED(status),
	   "and restored: %s", err.text);
	ok(!(WEXITSTATUS(status) & 1), "it may have as many inotify groups");
	ok(!(WEXITSTATUS(status) & 2), "and as many queues");
}

int main(int argc, char **argv)
{
	char dir[64], self[4096];
	/* Nobody else's, nor that of a run of this a moment ago. */
	const uid_t user = 50000 + (uid_t)getpid() % 10000;
	struct drive_place place = { .uid = user, .gid = user, .cwd = dir };
	ssize_t n;

	if (argc > 1 && !strcmp(argv[1], "job"))
		return job();
	if (geteuid() != 0)
		skip_all("needs root");
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return 1;
	self[n] = '\0';
	close(temp_dir(dir));
	if (chown(dir, user, user) < 0)
		return 1;
	run(&place, dir, self);
	temp_dir_remove(dir);
	return done_testing();
}
