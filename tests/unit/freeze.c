/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freezing a tree: everything is found, however it moves, and everything
 * goes on, or nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/freeze.h"
#include "kernel/vdso.h"
#include "tests/lib/called.h"
#include "tests/lib/children.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

/* Times of a tree of the size that is asked for. */
static void test_size(size_t processes, size_t threads)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	uint64_t t[3];
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		for (size_t i = 1; i < processes; i++)
			if (fork_bound() == 0)
				break;
		for (size_t i = 1; i < threads; i++) {
			pthread_t id;

			pthread_create(&id, NULL, wait_thread, NULL);
		}
		wait_thread(NULL);
	}
	members.root_pid = root;
	await_count(0, processes * threads);
	ok(tree_scan(&members, &tree, &err) == 0 && tree.ntasks == processes &&
		   tree.nthreads == processes * threads,
	   "all of %zu processes with %zu threads are seen: %s", processes,
	   threads, err.text);
	tree_free(&tree);
	t[0] = clock_monotonic_ns();
	if (!ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0 &&
			tree.ntasks == processes &&
			tree.nthreads == processes * threads,
		"and frozen: %s", err.text))
		goto out;
	t[1] = clock_monotonic_ns();
	ok(tree.tasks[0].pid == root && tree.tasks[1].stat.ppid == root &&
		   tree.tasks[0].threads[0].tid == root &&
		   tree.tasks[0].ns_pid > 0,
	   "parents come first, leaders too");
	ok(tree_thaw(&tree, &err) == 0, "and thawed: %s", err.text);
	t[2] = clock_monotonic_ns();
	diag("%zu processes x %zu threads: frozen in %lu us, thawed in %lu us",
	     processes, threads, (unsigned long)(t[1] - t[0]) / 1000,
	     (unsigned long)(t[2] - t[1]) / 1000);
	tree_free(&tree);
	ok(await_state(root, 'S'), "and sleep again");
	if (tree_freeze(&members, DEADLINE, &tree, &err) == 0) {
		pid_t last = tree.tasks[tree.ntasks - 1].pid;

		ok(tree_kill(&tree, &err) == 0 && strchr("-ZX", state_of(last)),
		   "killed while they stand, none is left: %s", err.text);
		tree_free(&tree);
	}
out:
	end(root);
}

/* A process of its own is the tracer: what it leaves behind is its own. */
static int freeze_thaw(pid_t root, uint64_t deadline, struct err *err)
{
	struct tree_members members = { .root_pid = root };
	struct frozen_tree tree;
	int r = tree_freeze(&members, deadline, &tree, err);

	if (r < 0)
		return r;
	r = tree_thaw(&tree, err);
	tree_free(&tree);
	return r;
}

static void test_stopped(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root = fork_bound();

	if (root == 0)
		for (;;)
			pause();
	members.root_pid = root;
	/* In an orphaned group, as a test of CI's is, nothing would stop. */
	setpgid(root, root);
	kill(root, SIGTSTP);
	await_state(root, 'T');
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0 &&
		       tree.tasks[0].threads[0].tracee.stop_signal == SIGTSTP,
	       "a stopped process is frozen, and by what it was stopped: %s",
	       err.text)) {
		struct frozen_task *task = &tree.tasks[0];

		ok(called_getpid(task, &err) &&
			   remote_end(task->remote, &err) == 0,
		   "it answers calls: %s", err.text);
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	ok(await_state(root, 'T'), "it stays stopped");
	kill(root, SIGCONT);
	ok(await_state(root, 'S'), "and can be continued");
	end(root);
}

static void test_zombie(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(7);
		counters[0] = (uint64_t)pid;
		for (;;)
			pause();
	}
	members.root_pid = root;
	await_count(0, 1);
	await_state((pid_t)counters[0], 'Z');
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0 &&
		       tree.ntasks == 2,
	       "a tree with a zombie is frozen: %s", err.text)) {
		ok(tree.tasks[1].zombie && tree.tasks[1].nthreads == 0 &&
			   tree.tasks[1].stat.exit_status == 7 << 8,
		   "the zombie is in it, with its exit status");
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	end(root);
}

/* vfork: the parent cannot stop before its child has exited. */
static void test_vfork(void)
{
	struct err err = { 0 };
	pid_t root;
	int failed = 0;

	reset();
	root = fork_bound();
	if (root == 0) {
		for (;;) {
			/* As posix_spawn does, and slow. */
			pid_t pid = vfork();

			if (pid == 0) {
				counters[0]++;
				usleep(30000);
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			counters[1]++;
		}
	}
	await_count(1, 2);
	for (int i = 0; i < 10; i++) {
		if (freeze_thaw(root, DEADLINE, &err) == 0)
			continue;
		failed++;
		diag("%s", err.text);
	}
	ok(failed == 0, "a tree that calls vfork can be frozen");
	uint64_t now = counters[1];

	ok(await_count(1, now + 2), "and goes on");
	end(root);
}

/* A child in vfork that does not let go within the deadline. */
static void test_deadline(void)
{
	struct err err = { 0 };
	uint64_t began;
	pid_t root, tracer;
	int r, status;

	/* The last test's child may count up counters[0] still. */
	reset();
	root = fork_bound();
	if (root == 0) {
		if (vfork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			counters[2] = (uint64_t)getpid();
			sleep(60);
			_exit(0);
		}
		_exit(0);
	}
	await_count(2, 1);
	tracer = fork();
	if (tracer == 0) {
		began = clock_monotonic_ns();
		r = freeze_thaw(root, NSEC_PER_SEC / 5, &err);
		diag("%s", err.text);
		_exit(r == -ETIMEDOUT && strstr(err.text, "does not stop") &&
				      clock_monotonic_ns() - began <
					      5 * NSEC_PER_SEC
			      ? 0
			      : 1);
	}
	waitpid(tracer, &status, 0);
	ok(status == 0, "who does not stop within the deadline is named");
	ok(!strchr("tT-", state_of((pid_t)counters[2])) &&
		   !strchr("tT-", state_of(root)),
	   "and nothing is left stopped: %c %c", state_of((pid_t)counters[2]),
	   state_of(root));
	kill((pid_t)counters[2], SIGKILL);
	end(root);
}

/* Everybody forks and ends as fast as it can. */
static void storm(void)
{
	for (int depth = 0;;) {
		pid_t pid = fork();

		if (pid < 0)
			usleep(1000);
		if (pid == 0 && ++depth > 3)
			_exit(0);
		__atomic_add_fetch(&counters[0], 1, __ATOMIC_SEQ_CST);
		if (depth && counters[0] % 3 == 0)
			_exit(0);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

/* In a pid namespace, which ends with its init whatever is in it. */
static pid_t spawn_storm(void)
{
	/* Bounded in number, not in speed. */
	struct rlimit limit = { 60, 60 };
	pid_t init = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL,
				    NULL, NULL, NULL);

	if (init)
		return init;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fork() == 0) {
		setrlimit(RLIMIT_NPROC, &limit);
		if (setresuid(65432, 65432, 65432) < 0)
			_exit(1);
		storm();
	}
	for (;;)
		wait(NULL);
}

static void test_storm(void)
{
	struct tree_members members = { 0 };
	struct err err = { 0 };
	int frozen = 0, grew = 0, other = 0, moved = 0;
	pid_t init;
	uint64_t now;

	reset();
	init = spawn_storm();
	if (init < 0) {
		skip("no pid namespaces: %s", strerror(errno));
		return;
	}
	members.init_pid = init;
	await_count(0, 50);
	for (int i = 0; i < 30; i++) {
		struct frozen_tree tree;
		int r = tree_freeze(&members, 2 * NSEC_PER_SEC, &tree, &err);

		if (r == 0) {
			now = counters[0];
			nap_ms(1);
			moved += counters[0] != now;
			other += tree_thaw(&tree, &err) < 0;
			tree_free(&tree);
		}
		frozen += r == 0;
		grew += r == -ETIMEDOUT;
		if (r == -ETIMEDOUT)
			diag("%s", err.text);
		if (r < 0 && r != -ETIMEDOUT) {
			other++;
			diag("%s", err.text);
		}
		nap_ms(3);
	}
	diag("fork storm: %d frozen, %d grew too fast", frozen, grew);
	ok(frozen > 0 && other == 0,
	   "a fork storm is frozen, or refused with its reason");
	ok(moved == 0, "and then nobody moves: %d", moved);
	now = counters[0];
	ok(await_count(0, now + 50), "and goes on afterwards");
	end(init);
}

/* Threads that do nothing but read the clock are met outside the vDSO. */
static void *clock_thread(void *arg)
{
	struct timespec t;

	counters[0]++;
	for (;;)
		clock_gettime(CLOCK_MONOTONIC, &t);
	return NULL;
}

static bool in_vdso(pid_t pid, uint64_t rip)
{
	char path[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long start, end_of;

		if (strstr(line, "[vdso]") &&
		    sscanf(line, "%lx-%lx", &start, &end_of) == 2)
			found = rip >= start && rip < end_of;
	}
	if (f)
		fclose(f);
	return found;
}

static void test_vdso(void)
{
	struct tree_members members = { 0 };
	struct err err = { 0 };
	int inside = 0, failed = 0;
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0)
		clock_thread(NULL);
	members.root_pid = root;
	await_count(0, 1);
	for (int i = 0; i < 50; i++) {
		struct frozen_tree tree;

		if (tree_freeze(&members, DEADLINE, &tree, &err) < 0) {
			failed++;
			continue;
		}
		inside +=
			in_vdso(root, tree.tasks[0].threads[0].regs_image.rip);
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	/* Of threads that are inside nearly always; a busy node gives them
	 * few turns to get out. */
	ok(failed == 0 && inside <= 5,
	   "hardly anybody is left inside the vDSO: %d failed, %d of 50",
	   failed, inside);
	end(root);
}

#define STUCK 60

/* Where a function of the vDSO was, in this process, it never ends. */
static void (*stuck_in_vdso(void))(void)
{
	struct vdso_function list[VDSO_FUNCTIONS];
	struct vdso_image own;
	struct err err;
	const uint8_t *at;
	size_t n = 0;
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	if (fd < 0 || vdso_own(&own, &err) < 0 ||
	    vdso_functions(&own, list, &n, &err) < 0 || !n)
		return NULL;
	at = own.data + list[0].offset;
	if (pwrite(fd, "\xeb\xfe", 2, (off_t)(uintptr_t)at) != 2)
		return NULL;
	close(fd);
	return (void (*)(void))(uintptr_t)at;
}

static void *stuck_thread(void *arg)
{
	void (*stuck)(void) = (void (*)(void))arg;

	__atomic_add_fetch(&counters[0], 1, __ATOMIC_SEQ_CST);
	stuck();
	return NULL;
}

/* Many that cannot be met outside: others do not wait for them for long. */
static void test_stuck(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree = { 0 };
	struct err err = { 0 };
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		void (*stuck)(void) = stuck_in_vdso();
		pthread_t thread;

		for (int i = 0; stuck && i < STUCK; i++)
			pthread_create(&thread, NULL, stuck_thread,
				       (void *)stuck);
		for (;;)
			pause();
	}
	members.root_pid = root;
	await_count(0, STUCK);
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "%d threads that stay in the vDSO are frozen: %s", STUCK,
	       err.text)) {
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	end(root);
}

/* SIGKILL from elsewhere while the tree is frozen. */
static void test_killed(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		for (int i = 0; i < 3; i++) {
			pthread_t id;

			pthread_create(&id, NULL, wait_thread, NULL);
		}
		wait_thread(NULL);
	}
	members.root_pid = root;
	await_count(0, 4);
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a tree is frozen")) {
		struct frozen_task *task = &tree.tasks[0];
		int64_t v;
		int r;

		r = remote_new(root, &task->threads[0].tracee, NULL,
			       &task->remote, &err);
		r = r < 0 ? r
			  : remote_begin(task->remote, &task->threads[1].tracee,
					 &err);
		kill(root, SIGKILL);
		r = r < 0 ? r
			  : remote_call(task->remote, "getpid", &v, &err,
					SYS_getpid, 0, 0, 0, 0, 0, 0);
		ok(r == -ESRCH, "a call into a killed process says so: %s",
		   err.text);
		ok(tree_thaw(&tree, &err) == 0,
		   "letting go of the dead is no failure: %s", err.text);
		tree_free(&tree);
	}
	waitpid(root, NULL, 0);
	ok(state_of(root) == '-', "and it is gone");
}

/* Members of a pid namespace: also who entered it, never its init. */
static void test_namespace(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t init, guest;
	bool orphan = false, entered = false, has_init = false;

	reset();
	init = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL,
			      NULL, NULL);
	if (init < 0) {
		skip("no pid namespaces: %s", strerror(errno));
		return;
	}
	if (init == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fork() == 0) {
			if (fork() == 0) {
				counters[0] = 1;
				for (;;)
					pause();
			}
			_exit(0);
		}
		for (;;)
			if (wait(NULL) < 0)
				pause();
	}
	await_count(0, 1);
	guest = fork_bound();
	if (guest == 0) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)init);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (setns(fd, CLONE_NEWPID) == 0 && fork() == 0)
			for (;;)
				pause();
		counters[1] = 1;
		for (;;)
			pause();
	}
	await_count(1, 1);
	members.init_pid = init;
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0 &&
		       tree.ntasks == 2,
	       "the members of a namespace are frozen: %s", err.text)) {
		for (size_t i = 0; i < tree.ntasks; i++) {
			orphan |= tree.tasks[i].stat.ppid == init;
			entered |= tree.tasks[i].stat.ppid == guest;
			has_init |= tree.tasks[i].pid == init;
		}
		ok(orphan && entered && !has_init && tree.tasks[0].ns_pid > 1 &&
			   tree.tasks[0].ns_pid < 100,
		   "orphans and who entered, but not init; with inner pids");
		ok(tree_kill(&tree, &err) == 0 &&
			   !strchr("tTZ-", state_of(init)),
		   "they are killed, init is not: %s", err.text);
		tree_free(&tree);
	}
	ok(tree_freeze(&members, DEADLINE, &tree, &err) == -ESRCH,
	   "an empty namespace has nothing to freeze");
	end(guest);
	end(init);
	ok(tree_freeze(&members, DEADLINE, &tree, &err) == -ESRCH &&
		   strstr(err.text, "the job has ended"),
	   "one whose init is gone has ended: %s", err.text);
}

/* A program without any library has no place for remote calls. */
static void test_bare(void)
{
	const char *top = getenv("top_builddir");
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	char path[4096];
	pid_t root;

	snprintf(path, sizeof(path), "%s/jobcr-puppet", top ? top : ".");
	root = fork_bound();
	if (root == 0) {
		execl(path, path, NULL);
		_exit(1);
	}
	members.root_pid = root;
	await_state(root, 'S');
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a program without a C library is frozen: %s", err.text)) {
		int r = remote_new(root, &tree.tasks[0].threads[0].tracee, NULL,
				   &tree.tasks[0].remote, &err);

		ok(r == -ENOTSUP && strstr(err.text, "C library"),
		   "and refused by name: %s", err.text);
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	ok(await_state(root, 'S'), "it goes on");
	end(root);
}

int main(void)
{
	if (geteuid() != 0)
		skip_all("freezing trees and namespaces needs root");
	children_init();
	test_size(3, 2);
	test_size(64, 4);
	test_stopped();
	test_zombie();
	test_vfork();
	test_deadline();
	test_storm();
	test_vdso();
	test_stuck();
	test_killed();
	test_namespace();
	test_bare();
	return done_testing();
}
