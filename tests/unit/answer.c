/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job starts again whose only snapshot is in a fast directory: a node on
 * which that is not mounted must not let it begin anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/fence.h"
#include "daemon/retire.h"
#include "daemon/server.h"
#include "storage/store.h"
#include "storage/tier.h"
#include "storage/tier_dir.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "wire/ask.h"

#define OWNER 52001

static char dir[] = "/tmp/jobcr-answer.XXXXXX";
static char store[64], fast[64], away[64];

void event_note_cause(const struct conf *conf, const struct control_info *info,
		      const char *kind, const char *cause, uint32_t generation,
		      const char *fmt, ...)
{
	(void)conf;
	(void)info;
	(void)kind;
	(void)cause;
	(void)generation;
	(void)fmt;
}

int fence_launch(const struct conf *conf, const struct fence_owner *owner,
		 struct err *err)
{
	(void)conf;
	(void)owner;
	(void)err;
	return 0;
}

int retire_spare(const struct conf *conf, const char *job_id, uid_t uid,
		 gid_t gid, struct err *err)
{
	(void)conf;
	(void)job_id;
	(void)uid;
	(void)gid;
	(void)err;
	return 0;
}

void flush_await_others(const struct conf *conf, const char *job_id, int job_fd,
			const struct user_id *user, void (*waits)(void *arg),
			void *arg)
{
	(void)conf;
	(void)job_id;
	(void)job_fd;
	(void)user;
	(void)waits;
	(void)arg;
}

static void slurm_says(unsigned int restarts)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/jobcr-slurm", dir);
	f = fopen(path, "w");
	if (!f)
		exit(1);
	fprintf(f,
		"#!/bin/sh\ncat <<END\nreason=none\nstate=RUNNING\nrequeue=1\n"
		"pending=0\nrunning=1\ncompleting=0\nheld=0\nsuspended=0\n"
		"noted=0\nuid=1\ngid=1\nnode_count=1\nrestart_count=%u\n"
		"preempt_time=0\nend_time=0\nsubmit_time=1\nkill_wait=30\n"
		"END\n",
		restarts);
	fclose(f);
	(void)chmod(path, 0755);
}

/* A worker of that node has begun it in the store, and gone on in FastDir. */
static void save(const struct conf *conf, const char *job)
{
	struct user_id user = { .uid = OWNER, .gid = OWNER };
	auto_close int job_fd = -EBADF, dir_fd = -EBADF, fast_fd = -EBADF;
	struct tier_mark mark;
	struct err err = { 0 };
	uint32_t number;

	if (store_enter_job(store, conf->cluster, job, &user, &job_fd, &err) <
		    0 ||
	    store_begin(job_fd, &user, &number, &dir_fd, &err) < 0 ||
	    tier_dir_open(fast, conf->cluster, job, true, &user, &fast_fd,
			  &err) < 0 ||
	    tier_mark_make(conf->node, fast, conf->cluster, job, &mark, &err) <
		    0 ||
	    tier_mark_write(dir_fd, &user, &mark, &err) < 0) {
		diag("%s", err.text);
		exit(1);
	}
}

/* As the launch of the job does it. */
static struct ask_answer ask(const struct conf *conf, const char *job)
{
	struct ask_question q = { .magic = ASK_MAGIC,
				  .uid = OWNER,
				  .gid = OWNER };
	struct ask_answer a = { .result = -EPIPE };
	int ends[2];

	snprintf(q.job_id, sizeof(q.job_id), "%s", job);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		exit(1);
	(void)serve_ask(conf, &q, ends[1]);
	do
		(void)!recv(ends[0], &a, sizeof(a), MSG_DONTWAIT);
	while (a.result == -EINPROGRESS);
	close(ends[0]);
	return a;
}

static bool begins(const struct ask_answer *a)
{
	return a->result == 0 && !a->generation;
}

static void test_mounted(struct conf *conf)
{
	struct ask_answer a = ask(conf, "7");
	char path[PATH_MAX];

	ok(begins(&a), "where it is mounted and has nothing, it begins: %s",
	   a.text);
	(void)rename(fast, away);
	(void)mkdir(fast, 0755);
	a = ask(conf, "7");
	ok(a.result == -EAGAIN && strstr(a.text, "not mounted") &&
		   strstr(a.text, "delete 7 --force"),
	   "where it is not, it does not: %s", a.text);
	snprintf(path, sizeof(path), "%s/%s", fast, conf->cluster);
	(void)mkdir(path, 0755);
	a = ask(conf, "7");
	ok(a.result == -EAGAIN, "also if its directories are there: %s",
	   a.text);
	conf->fast_dir = NULL;
	a = ask(conf, "7");
	ok(a.result == -EAGAIN, "nor where it is configured no more: %s",
	   a.text);
	conf->fast_dir = fast;
	slurm_says(0);
	a = ask(conf, "7");
	ok(begins(&a), "one that was never started may begin: %s", a.text);
	slurm_says(1);
	(void)rmdir(path);
	(void)rmdir(fast);
	(void)rename(away, fast);
	conf->node = (char *)"n2";
	a = ask(conf, "7");
	ok(a.result == -EAGAIN && strstr(a.text, "node n1"),
	   "on another node it does not: %s", a.text);
}

int main(void)
{
	struct conf conf = { .cluster = (char *)"c",
			     .node = (char *)"n1",
			     .store_dir = store,
			     .fast_dir = fast,
			     .libexec = dir };
	char command[64];

	if (getuid() != 0)
		skip_all("needs root, to be a job's user");
	if (!mkdtemp(dir) || chmod(dir, 0711) < 0)
		return 1;
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(fast, sizeof(fast), "%s/fast", dir);
	snprintf(away, sizeof(away), "%s/away", dir);
	if (mkdir(store, 0755) < 0 || mkdir(fast, 0755) < 0)
		return 1;
	tier_here(fast);
	slurm_says(1);
	save(&conf, "7");
	test_mounted(&conf);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
	return done_testing();
}
