/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/tree.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define MEMORY (8u << 20)

/* Our tree: a parent, and a child with a second thread and some memory. */
struct family {
	pid_t parent;
	int order[2], answer[2];
};

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* At each byte: do as little as there is, and say so. */
static void be_child(const struct family *f)
{
	char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	char byte = 'r';

	memset(memory, 1, MEMORY);
	pthread_create(&thread, NULL, sleep_on, NULL);
	do
		if (write(f->answer[1], &byte, 1) != 1)
			_exit(1);
	while (read(f->order[0], &byte, 1) == 1);
	_exit(0);
}

static void start(struct family *f)
{
	sigset_t usr1;
	char byte;

	if (pipe(f->order) < 0 || pipe(f->answer) < 0)
		_exit(99);
	f->parent = fork();
	if (f->parent == 0) {
		close(f->order[1]);
		sigemptyset(&usr1);
		sigaddset(&usr1, SIGUSR1);
		sigprocmask(SIG_BLOCK, &usr1, NULL);
		if (fork() == 0)
			be_child(f);
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	if (read(f->answer[0], &byte, 1) != 1)
		_exit(99);
}

static void tell(const struct family *f)
{
	char byte = 'x';

	ok(write(f->order[1], &byte, 1) == 1 &&
		   read(f->answer[0], &byte, 1) == 1,
	   "the child did something");
}

/* Twice the same, asleep: it has come to rest. */
static bool rest(pid_t pid, struct tree_look *ret)
{
	uint64_t until = clock_monotonic_ns() + 20 * NSEC_PER_SEC;
	struct tree_look before = { 0 };
	struct err err = { 0 };

	while (clock_monotonic_ns() < until) {
		if (tree_look(pid, ret, &err) < 0)
			return false;
		if (ret->asleep && ret->mark == before.mark)
			return true;
		before = *ret;
		usleep(10000);
	}
	return false;
}

/* Pid 1 of a namespace, and a sibling of it inside: a supervisor's job. */
static void test_siblings(void)
{
	struct tree_look look = { 0 };
	struct err err = { 0 };
	pid_t init, job, top = 0;
	int pipe_fds[2], r;

	if (geteuid() != 0) {
		skip("siblings of pid 1: needs root");
		return;
	}
	if (pipe(pipe_fds) < 0)
		_exit(99);
	top = fork();
	if (top == 0) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(99);
		init = fork();
		if (init == 0)
			sleep_on(NULL);
		job = fork();
		if (job == 0)
			sleep_on(NULL);
		if (write(pipe_fds[1], &init, sizeof(init)) != sizeof(init))
			_exit(99);
		waitpid(job, NULL, 0);
		kill(init, SIGKILL);
		_exit(0);
	}
	close(pipe_fds[1]);
	if (read(pipe_fds[0], &init, sizeof(init)) != sizeof(init))
		_exit(99);
	r = tree_look(init, &look, &err);
	ok(r == 0 && look.processes == 2,
	   "a job beside its init belongs to the tree: %zu processes %s",
	   look.processes, err.text);
	kill(init, SIGKILL);
	waitpid(top, NULL, 0);
}

int main(void)
{
	struct tree_look first, second;
	struct err err = { 0 };
	struct family f;

	start(&f);
	ok(rest(f.parent, &first), "a tree that waits is asleep");
	ok(first.processes == 2 && first.threads == 3,
	   "all of it is seen: %zu processes, %zu threads", first.processes,
	   first.threads);
	ok(first.bytes >= MEMORY && first.bytes < 4 * MEMORY,
	   "with its memory: %llu bytes", (unsigned long long)first.bytes);
	ok(tree_look(f.parent, &second, &err) == 0 &&
		   second.mark == first.mark && second.asleep,
	   "and looks the same as long as it sleeps: %s", err.text);

	tell(&f);
	ok(rest(f.parent, &second) && second.mark != first.mark,
	   "the shortest work of one thread shows");
	ok(second.members == first.members && second.cpu_ns >= first.cpu_ns,
	   "its threads are the same");

	first = second;
	kill(f.parent, SIGUSR1);
	ok(rest(f.parent, &second) && second.mark != first.mark,
	   "a signal that waits, shows");

	test_siblings();
	close(f.order[1]);
	waitpid(f.parent, NULL, 0);
	ok(tree_look(f.parent, &second, &err) == -ESRCH,
	   "a tree that has ended: %s", err.text);
	return done_testing();
}
