/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run takes the lease of its job from an older one, which publishes a last
 * snapshot while it is waited for.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/fence.h"
#include "storage/lease.h"
#include "storage/store.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define OWNER 12345

/* The run before, on another node. */
struct older {
	int job_fd;
	struct user_id user;
	struct lease lease;
};

static char dir[] = "/tmp/jobcr-take.XXXXXX";

static void die(const struct err *err)
{
	diag("%s", err->text);
	exit(1);
}

static void publish(const struct older *o)
{
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	uint32_t number;

	if (store_begin(o->job_fd, &o->user, &number, &fd, &err) < 0 ||
	    store_publish(o->job_fd, number, fd, "x", 1, &o->user, &err) < 0)
		die(&err);
}

/* Somebody waits for it: it saves the job, and ends. */
static void ends(void *arg)
{
	struct older *o = arg;
	struct err err = { 0 };

	publish(o);
	if (lease_release(o->job_fd, &o->user, &o->lease, &err) < 0)
		die(&err);
}

static void begin(const struct conf *conf, struct older *o)
{
	struct err err = { 0 };

	if (user_id_load(OWNER, OWNER, &o->user, &err) < 0 ||
	    store_enter_job(conf->store_dir, conf->cluster, "7", &o->user,
			    &o->job_fd, &err) < 0 ||
	    lease_identity("there", &o->lease, &err) < 0)
		die(&err);
	strcpy(o->lease.boot, "another");
	o->lease.length_ms = conf->lease_s * 1000;
	o->lease.first = 1;
	if (lease_take(o->job_fd, &o->user, true, &o->lease, &err) < 0)
		die(&err);
	publish(o);
}

static void test(const struct conf *conf, struct older *o, pid_t init)
{
	const struct fence_owner owner = { .job_id = "7",
					   .uid = OWNER,
					   .gid = OWNER,
					   .waits = ends,
					   .arg = o };
	uint32_t generation = 1;
	struct err err = { 0 };

	ok(fence_restore(conf, &owner, init, &generation, &err) == 0 &&
		   generation == 2,
	   "what the run before has saved meanwhile is gone on from%s",
	   err.text);
	generation = 1;
	ok(fence_restore(conf, &owner, init, &generation, &err) == 0 &&
		   generation == 2,
	   "also by a second attempt, when the first was killed%s",
	   err.text);
}

int main(void)
{
	char store[64], run[64], path[128];
	struct conf conf = { .cluster = (char *)"test",
			     .node = (char *)"here",
			     .store_dir = store,
			     .run_dir = run,
			     .libexec = dir,
			     .timeout_s = 60,
			     .lease_s = 30 };
	struct older o = { .job_fd = -1 };
	auto_free char *cmd = NULL;
	pid_t init;

	if (getuid() != 0)
		skip_all("needs root, to be a job's user");
	if (!mkdtemp(dir) || chmod(dir, 0711) < 0)
		return 1;
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(run, sizeof(run), "%s/run", dir);
	snprintf(path, sizeof(path), "%s/jobs", run);
	if (mkdir(store, 0755) < 0 || mkdir(run, 0755) < 0 ||
	    mkdir(path, 0700) < 0)
		return 1;
	strcat(path, "/7");
	if (mkdir(path, 0700) < 0)
		return 1;
	begin(&conf, &o);
	init = fork();
	while (init == 0)
		pause();
	test(&conf, &o, init);
	kill(init, SIGKILL);
	(void)waitpid(init, NULL, 0);
	if (asprintf(&cmd, "rm -rf '%s'", dir) < 0 || system(cmd))
		return 1;
	return done_testing();
}
