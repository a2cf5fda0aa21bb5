/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sweep of the store, in which each user may write what he likes into the
 * directories of his jobs.  slurmctld, of the test's own, has forgotten all
 * jobs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/retire.h"
#include "storage/next.h"
#include "storage/store.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "wire/writing.h"

#define ALICE 12345
#define BOB   12346

static char dir[] = "/tmp/jobcr-retire.XXXXXX";
static char store[64];

static void die(const struct err *err)
{
	diag("%s", err->text);
	exit(1);
}

/* With a snapshot; source: of another job, that it is to go on from. */
static void make_job(const char *job, uid_t uid, const char *source)
{
	auto_close int fd = -EBADF, snapshot = -EBADF;
	struct next_start next = { .generation = 1 };
	struct user_id user;
	struct err err = { 0 };
	uint32_t number;

	if (user_id_load(uid, uid, &user, &err) < 0 ||
	    store_open_job(store, "c", job, true, &user, &fd, &err) < 0 ||
	    store_begin(fd, &user, &number, &snapshot, &err) < 0 ||
	    store_publish(fd, number, snapshot, "m", 1, &user, &err) < 0)
		die(&err);
	snprintf(next.source, sizeof(next.source), "%s", source);
	if (*source && next_write(fd, &user, &next, &err) < 0)
		die(&err);
	user_id_done(&user);
}

static bool is_there(const char *job)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/c/%s/0000000001", store, job);
	return access(path, F_OK) == 0;
}

static void forget_all(void)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/jobcr-slurm", dir);
	f = fopen(path, "w");
	if (!f)
		exit(1);
	fprintf(f, "#!/bin/sh\nexit 66\n");
	fclose(f);
	chmod(path, 0755);
}

/* Marked by the first, retired by the second. */
static void sweep(const struct conf *conf)
{
	(void)retire_sweep(conf);
	(void)retire_sweep(conf);
}

/* A snapshot is written on this node: what is due waits. */
static void test_wait(const struct conf *conf)
{
	const struct timespec pause = { .tv_nsec = 500000000 };
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	pid_t pid;

	make_job("11", ALICE, "");
	(void)retire_sweep(conf);
	if (writing_begin(dir, &fd, &err) < 0)
		die(&err);
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(retire_sweep(conf));
	}
	nanosleep(&pause, NULL);
	ok(is_there("11") && waitpid(pid, NULL, WNOHANG) == 0,
	   "nothing is retired while a snapshot is written");
	close(take_fd(&fd));
	waitpid(pid, NULL, 0);
	ok(!is_there("11"), "but then");
}

int main(void)
{
	struct conf conf = { .cluster = (char *)"c",
			     .node = (char *)"here",
			     .store_dir = store,
			     .run_dir = dir,
			     .libexec = dir };
	auto_free char *cmd = NULL;
	char path[128];
	int fd;

	if (getuid() != 0)
		skip_all("needs root, to be a job's user");
	if (!mkdtemp(dir) || chmod(dir, 0711) < 0)
		return 1;
	snprintf(store, sizeof(store), "%s/store", dir);
	mkdir(store, 0755);
	forget_all();

	make_job("1", ALICE, "");
	make_job("2", ALICE, "1");
	make_job("3", ALICE, "");
	make_job("4", BOB, "3");
	sweep(&conf);
	ok(is_there("1"), "a job that another one goes on from stays");
	ok(!is_there("3"), "unless the other one is somebody else's");

	make_job("5", ALICE, "");
	make_job("6", BOB, "5");
	make_job("7", BOB, "");
	snprintf(path, sizeof(path), "%s/c/6/next", store);
	if (chmod(path, 0) < 0)
		return 1;
	sweep(&conf);
	ok(is_there("7"), "who does not let that be read keeps all of his");
	ok(!is_there("5"), "and none of others");

	make_job("8", ALICE, "");
	snprintf(path, sizeof(path), "%s/c/9", store);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return 1;
	close(fd);
	sweep(&conf);
	ok(!is_there("8"), "a file among the jobs does not stop it");

	make_job("10.retired", BOB, "");
	snprintf(path, sizeof(path), "%s/c/10.retired/0000000001/kept", store);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	sweep(&conf);
	ok(is_there("10"), "one that was kept too late to stay gets its name");

	test_wait(&conf);

	if (asprintf(&cmd, "rm -rf '%s'", dir) < 0 || system(cmd))
		return 1;
	return done_testing();
}
