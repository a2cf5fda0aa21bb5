/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freezing a process whose threads come and go, and which executes itself
 * again and again from any of them: that kills the others, stopped or not,
 * and takes the leader's place.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/freeze.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define THREADS  6
#define ROUNDS   60
#define DEADLINE (10 * NSEC_PER_SEC)
/* Far less than the deadline; much more than a stop takes on a busy node. */
#define LONG (4 * NSEC_PER_SEC)

static volatile uint64_t *lives;
static char fd_text[16];

static void *idle(void *arg)
{
	for (;;)
		usleep(500);
	return arg;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *come_and_go(void *arg)
{
	pthread_t id;

	for (;;)
		if (pthread_create(&id, NULL, nothing, NULL) == 0)
			pthread_join(id, NULL);
	return arg;
}

static void *again(void *arg)
{
	char *argv[] = { (char *)"churn", fd_text, NULL };

	usleep(300 + (useconds_t)(*lives * 7919 % 2000));
	execv("/proc/self/exe", argv);
	_exit(1);
	return arg;
}

static void live(const char *fd)
{
	pthread_t id;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(fd_text, sizeof(fd_text), "%s", fd);
	lives = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(fd),
		     0);
	if (lives == MAP_FAILED)
		_exit(1);
	++*lives;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&id, NULL, i ? idle : come_and_go, NULL);
	if (*lives % 4 == 0)
		again(NULL);
	pthread_create(&id, NULL, again, NULL);
	for (;;)
		pause();
}

static pid_t spawn(int fd)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	again(NULL);
	return 0;
}

static bool await_lives(uint64_t more)
{
	uint64_t from = *lives, deadline = clock_monotonic_ns() + DEADLINE;

	while (*lives < from + more) {
		if (clock_monotonic_ns() > deadline)
			return false;
		usleep(500);
	}
	return true;
}

struct score {
	unsigned int frozen, slow;
	uint64_t longest;
};

static int freeze_once(pid_t root, bool kill_it, struct score *s,
		       struct err *err)
{
	struct tree_members members = { .root_pid = root };
	uint64_t took, start = clock_monotonic_ns();
	struct frozen_tree tree;
	int r;

	r = tree_freeze(&members, DEADLINE, &tree, err);
	took = clock_monotonic_ns() - start;
	if (r < 0)
		return r;
	s->frozen++;
	s->slow += took > LONG;
	if (took > s->longest)
		s->longest = took;
	r = kill_it ? tree_kill(&tree, err) : tree_thaw(&tree, err);
	tree_free(&tree);
	return r;
}

/* The tracer must be a process of its own, for who kills is no parent. */
static bool in_tracer(pid_t root, bool kill_it, int rounds)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct score s = { 0 };
		struct err err = { 0 };
		int r = 0;

		for (int i = 0; i < rounds && r == 0; i++) {
			usleep((useconds_t)(rand() % 3000));
			r = freeze_once(root, kill_it, &s, &err);
		}
		if (r < 0)
			diag("after %u: %s", s.frozen, err.text);
		if (s.longest > LONG || rounds > 1)
			diag("%u frozen, the longest took %lu ms", s.frozen,
			     (unsigned long)(s.longest / 1000000));
		_exit(r == 0 && s.slow == 0 ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_thaw(int fd)
{
	pid_t root = spawn(fd);

	ok(await_lives(3), "a process lives many lives");
	ok(in_tracer(root, false, ROUNDS),
	   "it is frozen and thawed in the middle of any");
	ok(await_lives(3), "and goes on living");
	kill(root, SIGKILL);
	waitpid(root, NULL, 0);
}

static void test_kill(int fd)
{
	int good = 0, rounds = ROUNDS / 3;

	for (int i = 0; i < rounds; i++) {
		pid_t root = spawn(fd);
		bool well = await_lives(1) && in_tracer(root, true, 1);

		if (!well)
			kill(root, SIGKILL);
		waitpid(root, NULL, 0);
		good += well;
	}
	ok(good == rounds, "it is frozen and killed, %d of %d times", good,
	   rounds);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc > 1)
		live(argv[1]);
	if (geteuid() != 0)
		skip_all("freezing the children of another process needs root");
	fd = memfd_create("lives", 0);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return 1;
	lives = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (lives == MAP_FAILED)
		return 1;
	srand(4711);
	test_thaw(fd);
	test_kill(fd);
	return done_testing();
}
