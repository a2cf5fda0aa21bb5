/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The view of IPC namespaces. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/ipc.h"
#include "kernel/kcmp.h"
#include "kernel/proc.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

/* Somebody in a namespace with three queues. */
static pid_t start_other(struct err *err)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWIPC) < 0)
			_exit(1);
		for (int i = 3; i > 0; i--)
			if (ipc_set_next_id(IPC_MSG, 1000 * i + i, err) < 0 ||
			    msgget(IPC_PRIVATE, 0600) != 1000 * i + i)
				_exit(2);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(3);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		(void)err_set(err, -ECHILD, "no namespace");
	close(ready[0]);
	return pid;
}

static void test_visit(pid_t pid)
{
	auto_close int proc_fd = -EBADF, self_fd = -EBADF;
	auto_free int *ids = NULL, *none = NULL;
	struct ipc_visit visit = { -1 };
	struct err err = { 0 };
	size_t count = 0, others = 0;
	bool own = true, still = false;

	ok(proc_open(pid, 0, &proc_fd, &err) == 0 &&
		   proc_open(getpid(), 0, &self_fd, &err) == 0 &&
		   ipc_is_own(proc_fd, &own, &err) == 0 && !own &&
		   ipc_is_own(self_fd, &own, &err) == 0 && own,
	   "one's own namespace is told from another: %s", err.text);
	ok(ipc_enter(proc_fd, &visit, &err) == 0 &&
		   ipc_is_own(proc_fd, &own, &err) == 0 && own,
	   "the other is entered: %s", err.text);
	ok(ipc_list(IPC_MSG, &ids, &count, &err) == 0 && count == 3 &&
		   ids[0] == 1001 && ids[1] == 2002 && ids[2] == 3003,
	   "all objects are listed, ascending: %s", err.text);
	ok(ipc_list(IPC_SHM, &none, &others, &err) == 0 && others == 0,
	   "none of another kind");
	ipc_leave(&visit);
	ok(visit.own < 0 && ipc_is_own(self_fd, &still, &err) == 0 && still,
	   "and left again");
	ipc_leave(&visit);
	ok(visit.own < 0, "once is enough");
}

static void test_gone(void)
{
	auto_close int proc_fd = -EBADF;
	struct ipc_visit visit;
	struct err err = { 0 };
	bool own;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ok(proc_open(pid, 0, &proc_fd, &err) == 0, "a process: %s", err.text);
	waitpid(pid, NULL, 0);
	ok(ipc_is_own(proc_fd, &own, &err) == -ESRCH &&
		   ipc_enter(proc_fd, &visit, &err) == -ESRCH && visit.own < 0,
	   "one that has ended has no namespace: %s", err.text);
}

static void *idle(void *arg)
{
	pause();
	return arg;
}

/* A process that has used a semaphore with SEM_UNDO, or not. */
static pid_t start_user(bool uses)
{
	struct sembuf up = { .sem_op = 1, .sem_flg = SEM_UNDO };
	int ready[2] = { -1, -1 }, id;
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWIPC) < 0)
			_exit(1);
		id = semget(IPC_PRIVATE, 1, 0600);
		if (uses && semop(id, &up, 1) < 0)
			_exit(2);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(3);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

/* We have threads, as the worker has. */
static void test_undos(void)
{
	pid_t without = start_user(false), with = start_user(true);
	struct err err = { 0 };
	bool has = true;
	pthread_t t;

	ok(without > 0 && with > 0 && pthread_create(&t, NULL, idle, NULL) == 0,
	   "two processes, and a thread");
	ok(kcmp_has_undos(without, &has, &err) == 0 && !has,
	   "one without semaphore undos has no list: %s", err.text);
	ok(kcmp_has_undos(with, &has, &err) == 0 && has,
	   "one with them has: %s", err.text);
	kill(without, SIGKILL);
	kill(with, SIGKILL);
	waitpid(without, NULL, 0);
	waitpid(with, NULL, 0);
	ok(kcmp_has_undos(with, &has, &err) == -ESRCH, "one that is gone: %s",
	   err.text);
}

static void test_limits(void)
{
	struct err err = { 0 };
	uint64_t v = 0;

	ok(ipc_limit("kernel/sem", 0, &v, &err) == 0 && v > 0 &&
		   ipc_limit("kernel/sem", 3, &v, &err) == 0 && v > 0,
	   "a limit has four numbers");
	ok(ipc_limit("kernel/sem", 4, &v, &err) == -ENODATA, "not five: %s",
	   err.text);
	ok(ipc_limit("kernel/no_such_limit", 0, &v, &err) == -ENOENT,
	   "one that is not there: %s", err.text);
	ok(ipc_set_next_id(IPC_SEM, -5, &err) == -EINVAL, "no negative id: %s",
	   err.text);
}

int main(void)
{
	struct err err = { 0 };
	pid_t pid;

	if (geteuid() != 0)
		skip_all("needs root");
	pid = start_other(&err);
	if (ok(pid > 0 && !err.code, "another namespace: %s", err.text))
		test_visit(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	test_gone();
	test_limits();
	test_undos();
	return done_testing();
}
