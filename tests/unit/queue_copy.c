// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The messages of a POSIX queue are copied, and are in it as before: also for
 * those who run again in the middle of it, when the tracer that keeps them
 * standing still is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/tap.h"
#include "util/cleanup.h"
#include "util/copy_out.h"
#include "util/queue_copy.h"

#define COUNT  600
#define SIZE   512
#define ROUNDS 40

static bool write_limit(const char *path, int value)
{
	FILE *f = fopen(path, "we");

	return f && fprintf(f, "%d", value) > 0 && fclose(f) == 0;
}

static mqd_t make(const char *name, long count, long size)
{
	struct mq_attr attr = { .mq_maxmsg = count, .mq_msgsize = size };
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	if (q >= 0)
		(void)mq_unlink(name);
	return q;
}

/* "7:text " for each. */
static void describe(int file, char *ret, size_t room)
{
	struct queue_copy head;
	char text[64];
	size_t at = 0;

	ret[0] = '\0';
	if (file < 0 || lseek(file, 0, SEEK_SET) < 0)
		return;
	while (read(file, &head, sizeof(head)) == sizeof(head) &&
	       head.len < sizeof(text) &&
	       read(file, text, head.len) == (ssize_t)head.len && at < room)
		at += (size_t)snprintf(ret + at, room - at, "%u:%.*s ",
				       head.priority, (int)head.len, text);
}

static void test_order(void)
{
	static const char wanted[] = "9:d 3:b 3: 3:c 0:a ";
	mqd_t q = make("/jobcr-unit-order", 10, 32);
	struct err err = { 0 };
	char text[200];

	if (q < 0 || mq_send(q, "a", 1, 0) || mq_send(q, "b", 1, 3) ||
	    mq_send(q, "", 0, 3) || mq_send(q, "c", 1, 3) ||
	    mq_send(q, "d", 1, 9))
		abort();
	for (int i = 0; i < 3; i++) {
		auto_close int file = copy_out(COPY_QUEUE, (int)q, 0, &err);

		describe(file, text, sizeof(text));
		ok(!strcmp(text, wanted), "copy %d: %s %s", i, text, err.text);
	}
	mq_close(q);
}

static void test_refused(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	mqd_t q = make("/jobcr-unit-refused", 2, 32);
	struct err err = { 0 };
	struct mq_attr a;

	if (q < 0 || mq_notify(q, &event) < 0 || mq_send(q, "a", 1, 0) < 0 ||
	    mq_notify(q, &event) < 0)
		abort();
	ok(copy_out(COPY_QUEUE, (int)q, 0, &err) == -ENOTSUP,
	   "one with a notification is not touched: %s", err.text);
	ok(mq_getattr(q, &a) == 0 && a.mq_curmsgs == 1, "it has its message");
	mq_close(q);
}

/* Looks at the queue all the time; *seen: how many were not there. */
static void be_job(mqd_t q, volatile long *seen, volatile long *looks)
{
	struct mq_attr a;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (mq_getattr(q, &a) == 0 && a.mq_curmsgs != COUNT)
			*seen = COUNT - a.mq_curmsgs;
		++*looks;
	}
}

/* Keeps the job standing still; tells when, and then waits to be killed. */
static void be_tracer(pid_t job, int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_SEIZE, job, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, job, NULL, NULL) < 0 ||
	    waitpid(job, NULL, __WALL) != job || write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static pid_t start_tracer(pid_t job)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0)
		abort();
	pid = fork();
	if (pid == 0)
		be_tracer(job, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		abort();
	close(ready[0]);
	return pid;
}

static void kill_later(pid_t pid, long ns)
{
	struct timespec nap = { .tv_nsec = ns };

	if (fork() == 0) {
		nanosleep(&nap, NULL);
		kill(pid, SIGKILL);
		_exit(0);
	}
}

/* The queue is copied while the tracer is killed. */
static bool copy_once(mqd_t q, pid_t job, unsigned int round)
{
	pid_t tracer = start_tracer(job);
	struct err err = { 0 };
	int file;

	kill_later(tracer, 50000L * (long)round);
	file = copy_out(COPY_QUEUE, (int)q, tracer, &err);
	/* It may have ended before. */
	if (file < 0 && err.code != -ESRCH && err.code != -EPERM)
		diag("%s", err.text);
	if (file >= 0)
		close(file);
	kill(tracer, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	while (waitpid(tracer, NULL, 0) < 0 && errno == EINTR)
		;
	return file >= 0;
}

static bool wait_for_looks(volatile long *looks)
{
	const long before = *looks;

	for (int i = 0; i < 5000 && *looks < before + 10; i++)
		usleep(1000);
	return *looks >= before + 10;
}

static void test_killed(void)
{
	volatile long *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static char text[SIZE];
	unsigned int copied = 0, ran = 0;
	mqd_t q;
	pid_t job;

	q = make("/jobcr-unit-killed", COUNT, SIZE);
	if (q < 0) {
		skip("no large queue: %s", strerror(errno));
		return;
	}
	for (int i = 0; i < COUNT; i++)
		if (mq_send(q, text, sizeof(text), (unsigned int)i % 7) < 0)
			abort();
	job = fork();
	if (job == 0)
		be_job(q, &shared[0], &shared[1]);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		copied += copy_once(q, job, i);
		ran += wait_for_looks(&shared[1]);
	}
	ok(copied > ROUNDS / 2, "%u of %d copies are made", copied, ROUNDS);
	ok(ran == ROUNDS, "the job runs after %u of %d deaths", ran, ROUNDS);
	ok(shared[0] == 0, "it never sees that messages are away: %ld",
	   shared[0]);
	kill(job, SIGKILL);
	waitpid(job, NULL, 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	mq_close(q);
}

int main(void)
{
	if (geteuid() != 0)
		skip_all("needs root");
	/* One with many messages needs no right in a namespace of our own. */
	if (unshare(CLONE_NEWIPC) < 0 ||
	    !write_limit("/proc/sys/fs/mqueue/msg_max", COUNT))
		skip_all("no IPC namespace: %s", strerror(errno));
	test_order();
	test_refused();
	test_killed();
	return done_testing();
}
