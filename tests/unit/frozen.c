/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to a tree from elsewhere while it is frozen, and at its end. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/freeze.h"
#include "tests/lib/called.h"
#include "tests/lib/children.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * A signal with a handler that comes while its process is frozen: the call
 * that was going to be made again must fail with EINTR, as it would have.
 */
static void count_signal(int sig)
{
	counters[1]++;
}

/* Waits for ever; counts in [1] signals, in [2] what they have ended. */
static pid_t spawn_in_epoll(void)
{
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		struct epoll_event ev;
		int fd = epoll_create1(0);

		signal(SIGUSR1, count_signal);
		counters[0] = 1;
		for (;;)
			if (epoll_wait(fd, &ev, 1, -1) < 0 && errno == EINTR)
				counters[2]++;
	}
	await_count(0, 1);
	await_state(root, 'S');
	return root;
}

static void test_signal(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root;

	root = spawn_in_epoll();
	members.root_pid = root;
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a process in epoll_wait is frozen: %s", err.text)) {
		kill(root, SIGUSR1);
		ok(tree_thaw(&tree, &err) == 0, "and thawed: %s", err.text);
		tree_free(&tree);
	}
	ok(await_count(1, 1) && await_count(2, 1) && counters[1] == 1 &&
		   counters[2] == 1,
	   "a signal that came meanwhile is handled and ends the call");
	end(root);
}

/* The same when we are killed before we could let it go. */
static void test_signal_left(void)
{
	pid_t root, tracer;

	root = spawn_in_epoll();
	tracer = fork_bound();
	if (tracer == 0) {
		struct tree_members members = { .root_pid = root };
		struct frozen_tree tree;
		struct err err = { 0 };

		if (tree_freeze(&members, DEADLINE, &tree, &err) < 0)
			_exit(1);
		kill(root, SIGUSR1);
		raise(SIGKILL);
	}
	waitpid(tracer, NULL, 0);
	ok(await_count(1, 1) && await_count(2, 1) && counters[2] == 1,
	   "it ends the call also when the tracer was killed before");
	end(root);
}

/* A mask of the call that keeps out what the thread's own lets in. */
static void test_kept_out(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		sigset_t all;

		sigfillset(&all);
		signal(SIGUSR1, count_signal);
		counters[0] = 1;
		ppoll(NULL, 0, NULL, &all);
		counters[2] = 1;
		for (;;)
			pause();
	}
	members.root_pid = root;
	await_count(0, 1);
	await_state(root, 'S');
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a process in ppoll with all signals blocked is frozen: %s",
	       err.text)) {
		kill(root, SIGUSR1);
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	ok(await_count(1, 1) && await_state(root, 'S') && counters[2] == 0,
	   "a signal that came meanwhile does not end the call");
	end(root);
}

/*
 * A tree whose root has stopped long before the rest can: the child's own
 * child borrows its memory until the signal has been sent.
 */
static void send_late(pid_t root)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD,
				   NULL, NULL, NULL, NULL);

	if (pid == 0) {
		counters[0]++;
		while (state_of(root) != 't')
			syscall(SYS_sched_yield);
		/* It stands, and what its stop did to it is being mended. */
		nap_ms(20);
		syscall(SYS_kill, root, SIGUSR1);
		syscall(SYS_exit_group, 0);
	}
	for (;;)
		pause();
}

/* A signal that comes after its thread was stopped is in the image, too. */
static void test_late_image(long nr, void (*wait_in)(void))
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		signal(SIGUSR1, count_signal);
		if (fork_bound() == 0)
			send_late(getppid());
		counters[0]++;
		wait_in();
		if (errno == EINTR)
			counters[2] = 1;
		for (;;)
			pause();
	}
	members.root_pid = root;
	await_count(0, 2);
	await_state(root, 'S');
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a signal comes late in the freeze: %s", err.text)) {
		const struct user_regs_struct *regs =
			&tree.tasks[0].threads[0].regs_image;

		ok(tree.tasks[0].nsiginfo == 1 && (long)regs->rax == -514 &&
			   (long)regs->orig_rax == nr,
		   "image of call %ld leaves it to the kernel: %zu signals, "
		   "rax %ld, call %ld",
		   nr, tree.tasks[0].nsiginfo, (long)regs->rax,
		   (long)regs->orig_rax);
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	ok(await_count(1, 1) && await_count(2, 1), "the signal ends call %ld",
	   nr);
	end(root);
}

static void in_nanosleep(void)
{
	syscall(SYS_nanosleep, &(struct timespec){ .tv_sec = 60 }, NULL);
}

static void in_epoll(void)
{
	struct epoll_event ev;

	epoll_wait(epoll_create1(0), &ev, 1, -1);
}

/*
 * A handler waits, and we are killed while the thread makes our calls: what
 * becomes of the program's own call is for the handler's flags to say.
 */
static void test_left_interrupted(int flags)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = flags };
	pid_t root, tracer;
	int fds[2], status;
	char c;

	reset();
	if (pipe(fds) < 0)
		return;
	root = fork_bound();
	if (root == 0) {
		sigaction(SIGUSR1, &sa, NULL);
		if (fork_bound() == 0)
			send_late(getppid());
		counters[0]++;
		if (read(fds[0], &c, 1) < 0 && errno == EINTR)
			counters[2] = 1;
		counters[3] = 1;
		for (;;)
			pause();
	}
	await_count(0, 2);
	await_state(root, 'S');
	tracer = fork_bound();
	if (tracer == 0) {
		struct tree_members members = { .root_pid = root };
		struct frozen_tree tree;
		struct frozen_task *task;
		struct err err = { 0 };

		if (tree_freeze(&members, DEADLINE, &tree, &err) < 0)
			_exit(1);
		task = &tree.tasks[0];
		if (task->nsiginfo == 1 && called_getpid(task, &err))
			raise(SIGKILL);
		_exit(2);
	}
	waitpid(tracer, &status, 0);
	await_count(1, 1);
	if (flags && write(fds[1], "x", 1) != 1)
		return;
	ok(WIFSIGNALED(status) && await_count(3, 1) &&
		   counters[2] == (flags ? 0 : 1),
	   "a read whose handler waits when a tracer is killed %s",
	   flags ? "goes on" : "ends");
	end(root);
	close(fds[0]);
	close(fds[1]);
}

/*
 * A thread that could not be given back is let go where it is: on its frame,
 * with all signals blocked and one of them pending.
 */
static void test_left_away(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root;

	root = spawn_in_epoll();
	members.root_pid = root;
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a process is frozen: %s", err.text)) {
		struct frozen_task *task = &tree.tasks[0];

		ok(called_getpid(task, &err), "and called: %s", err.text);
		kill(root, SIGUSR1);
		/* Forgotten, as after an end that failed. */
		task->remote = NULL;
		ok(tree_thaw(&tree, &err) == 0, "it is let go: %s", err.text);
		tree_free(&tree);
	}
	ok(await_count(1, 1) && await_state(root, 'S'),
	   "it comes home and handles its signal");
	end(root);
}

static void *end_elsewhere(void *arg)
{
	struct err err = { 0 };

	/* Only the thread that traces may do that: it fails at once. */
	return (void *)(intptr_t)remote_end(arg, &err);
}

/*
 * A thread cannot be given back: its frame must stay where it is until the
 * thread has come home by it.
 */
static void test_end_fails(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pthread_t id;
	void *failed = NULL;
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		signal(SIGUSR1, count_signal);
		for (counters[0] = 1;; counters[2]++)
			(void)ppoll(NULL, 0, NULL, NULL);
	}
	members.root_pid = root;
	await_count(0, 1);
	await_state(root, 'S');
	for (int i = 0; i < 2; i++) {
		struct frozen_task *task;
		struct tracee *t;
		int64_t v = 0;
		int r;

		if (!ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
			"a process is frozen: %s", err.text))
			break;
		task = &tree.tasks[0];
		t = &task->threads[0].tracee;
		r = remote_new(root, t, NULL, &task->remote, &err);
		r = r < 0 ? r : remote_begin(task->remote, t, &err);
		r = r < 0 ? r
			  : remote_call(task->remote, "getpid", &v, &err,
					SYS_getpid, 0, 0, 0, 0, 0, 0);
		/* Once its end fails, once all is well. */
		if (i == 0 && r == 0) {
			pthread_create(&id, NULL, end_elsewhere, task->remote);
			pthread_join(id, &failed);
			ok((intptr_t)failed < 0 && t->away,
			   "the end of its calls fails");
		}
		ok(r == 0 && tree_thaw(&tree, &err) == 0,
		   "it is called and let go: %s", err.text);
		tree_free(&tree);
		ok(await_state(root, 'S') && counters[2] == 0,
		   "it is back in its call");
	}
	kill(root, SIGUSR1);
	ok(await_count(1, 1) && await_count(2, 1),
	   "which a signal ends, as ever");
	end(root);
}

/* SIGSTOP and SIGCONT from elsewhere while calls are being injected. */
static void test_stop_signals(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root = fork_bound();

	if (root == 0)
		for (;;)
			pause();
	members.root_pid = root;
	await_state(root, 'S');
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a process is frozen: %s", err.text)) {
		struct frozen_task *task = &tree.tasks[0];
		struct tracee *t = &task->threads[0].tracee;
		int64_t v = 0;
		int r;

		r = remote_new(root, t, NULL, &task->remote, &err);
		r = r < 0 ? r : remote_begin(task->remote, t, &err);
		for (int i = 0; i < 20 && r == 0; i++) {
			if (i == 5 || i == 15)
				kill(root, SIGSTOP);
			if (i == 10)
				kill(root, SIGCONT);
			r = remote_call(task->remote, "getpid", &v, &err,
					SYS_getpid, 0, 0, 0, 0, 0, 0);
			r = r == 0 && v != root ? -1 : r;
		}
		r = r < 0 ? r : remote_end(task->remote, &err);
		ok(r == 0, "calls work while it is stopped: %s", err.text);
		ok(tree_thaw(&tree, &err) == 0, "it is thawed: %s", err.text);
		tree_free(&tree);
	}
	ok(await_state(root, 'T'), "then it stops, as it was told");
	kill(root, SIGCONT);
	ok(await_state(root, 'S'), "and can be continued");
	end(root);
}

/* Killed while it holds a robust mutex: the word keeps its owner. */
static void test_robust(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pthread_mutex_t *mutex = (void *)&counters[64];
	pthread_mutexattr_t attr;
	int before;
	pid_t root;

	reset();
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attr);
	root = fork_bound();
	if (root == 0) {
		pthread_mutex_lock(mutex);
		counters[0] = 1;
		for (;;)
			pause();
	}
	members.root_pid = root;
	await_count(0, 1);
	before = mutex->__data.__lock;
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "the holder of a mutex is frozen: %s", err.text)) {
		ok(tree_kill(&tree, &err) == 0 &&
			   mutex->__data.__lock == before && before == root,
		   "and killed: its mutex is still held, for the restore");
		tree_free(&tree);
	}
	end(root);
}

/* Answers with value to every call but those that lead a thread home. */
static pid_t behind_filter(uint32_t value, long spared)
{
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pause, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)spared, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, value),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { ARRAY_SIZE(code),
					 (struct sock_filter *)code };
	pid_t root = fork_bound();

	if (root != 0) {
		await_state(root, 'S');
		return root;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
	for (;;)
		pause();
}

/* Filters do not hinder us, but where they could kill it nothing is tried. */
static void test_seccomp(uint32_t value, long spared, bool good)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	pid_t root = behind_filter(value, spared);

	members.root_pid = root;
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0,
	       "a process behind a filter is frozen: %s", err.text)) {
		struct frozen_task *task = &tree.tasks[0];

		ok(called_getpid(task, &err) == good &&
			   remote_end(task->remote, &err) == 0,
		   good ? "it answers calls that the filter lets fail: %s"
			: "it is not asked where it could be killed: %s",
		   err.text);
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	ok(await_state(root, 'S'), "it goes on behind its filter");
	end(root);
}

/*
 * Stopped twice, a thread is in restart_syscall; its image must still name
 * the call that it is in.
 */
static void test_image(long nr, void (*wait_in)(void))
{
	struct tree_members members = { 0 };
	struct err err = { 0 };
	int right = 0;
	pid_t root = fork_bound();

	if (root == 0) {
		wait_in();
		_exit(1);
	}
	members.root_pid = root;
	for (int i = 0; i < 3; i++) {
		struct frozen_tree tree;
		const struct user_regs_struct *regs;

		await_state(root, 'S');
		if (tree_freeze(&members, DEADLINE, &tree, &err) < 0)
			break;
		regs = &tree.tasks[0].threads[0].regs_image;
		right += (long)regs->rax == nr && (long)regs->orig_rax == -1;
		tree_thaw(&tree, &err);
		tree_free(&tree);
	}
	ok(right == 3 && await_state(root, 'S'),
	   "images of call %ld make it again, at every stop: %d of 3", nr,
	   right);
	end(root);
}

static void in_sleep(void)
{
	sleep(60);
}

static void in_poll(void)
{
	poll(NULL, 0, 60000);
}

static void in_futex(void)
{
	static int word;

	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0,
		&(struct timespec){ .tv_sec = 60 }, NULL, 0);
}

/* A thread in each of many: numbers, not times. */
static void test_many_threads(void)
{
	struct tree_members members = { 0 };
	struct frozen_tree tree;
	struct err err = { 0 };
	size_t threads = 1000;
	pthread_attr_t attr;
	pid_t root;

	reset();
	root = fork_bound();
	if (root == 0) {
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 65536);
		for (size_t i = 1; i < threads; i++) {
			pthread_t id;

			pthread_create(&id, &attr, wait_thread, NULL);
		}
		wait_thread(NULL);
	}
	members.root_pid = root;
	await_count(0, threads);
	if (ok(tree_freeze(&members, DEADLINE, &tree, &err) == 0 &&
		       tree.nthreads == threads,
	       "a process with %zu threads is frozen: %s", threads, err.text)) {
		diag("frozen in %lu us",
		     (unsigned long)(tree.stopped_ns - tree.started_ns) / 1000);
		ok(tree_thaw(&tree, &err) == 0, "and thawed: %s", err.text);
		tree_free(&tree);
	}
	end(root);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	if (geteuid() != 0)
		skip_all("freezing trees needs root");
	children_init();
	test_signal();
	test_signal_left();
	test_kept_out();
	test_late_image(SYS_epoll_wait, in_epoll);
	test_late_image(SYS_nanosleep, in_nanosleep);
	test_left_interrupted(SA_RESTART);
	test_left_interrupted(0);
	test_left_away();
	test_end_fails();
	test_stop_signals();
	test_robust();
	test_seccomp(SECCOMP_RET_ERRNO | EPERM, SYS_rt_sigreturn, true);
	test_seccomp(SECCOMP_RET_KILL_PROCESS, SYS_rt_sigreturn, false);
	test_seccomp(SECCOMP_RET_KILL_PROCESS, SYS_getpid, false);
	test_image(SYS_nanosleep, in_nanosleep);
	test_image(SYS_clock_nanosleep, in_sleep);
	test_image(SYS_poll, in_poll);
	test_image(SYS_futex, in_futex);
	raise_file_limit();
	test_many_threads();
	return done_testing();
}
