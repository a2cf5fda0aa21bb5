/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The look at syscall user dispatch tells what threads have set, of all of
 * them, by their numbers in our own pid namespace.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/user_dispatch.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define SET_USER_DISPATCH 59
#define ON                1
#define THREADS           400

static int look;
static const char allow;
static pid_t *tids; /* shared with children */

static bool set(uint64_t offset, uint64_t len, const char *selector)
{
	return prctl(SET_USER_DISPATCH, ON, offset, len, selector) == 0;
}

/* What a child does before it says that it is ready; then it waits. */
typedef bool (*begin_fn)(void);

static pid_t begin(begin_fn fn)
{
	int ready[2];
	pid_t pid;
	char did = 0;

	if (pipe2(ready, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		did = fn();
		if (write(ready[1], &did, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &did, 1) != 1 || !did)
		diag("process %d did not get so far", pid);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* How often a thread is told of; *ret is the last. */
static size_t told(pid_t tid, struct dispatch_seen *ret)
{
	auto_free struct dispatch_seen *v = NULL;
	size_t n = 0, found = 0;

	if (user_dispatch_read(look, &v, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (v[i].tid == (uint64_t)tid) {
			*ret = v[i];
			found++;
		}
	return found;
}

static bool is_told(pid_t pid, uint64_t offset, uint64_t len,
		    const void *selector)
{
	struct dispatch_seen s;

	return told(pid, &s) == 1 && s.offset == offset && s.len == len &&
	       s.selector == (uintptr_t)selector;
}

static bool begin_plain(void)
{
	return true;
}

static bool begin_selected(void)
{
	return set(0, 0, &allow);
}

static bool begin_large(void)
{
	return set(1, UINT64_MAX - 1, &allow);
}

/* Everything lies in its range. */
static bool begin_unselected(void)
{
	return set(4096, INT64_MAX, NULL);
}

static bool begin_ended(void)
{
	return set(0, 0, &allow) && prctl(SET_USER_DISPATCH, 0, 0, 0, 0) == 0;
}

/* A child does not have what its parent had. */
static bool begin_forked(void)
{
	pid_t pid;

	if (!set(0, 0, &allow))
		return false;
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	tids[0] = pid;
	return pid > 0;
}

static void test_values(void)
{
	static const struct {
		const char *what;
		begin_fn fn;
		uint64_t offset, len;
		const char *selector;
	} on[] = {
		{ "a selector alone", begin_selected, 0, 0, &allow },
		{ "the largest values", begin_large, 1, UINT64_MAX - 1,
		  &allow },
		{ "no selector", begin_unselected, 4096, INT64_MAX, NULL },
	};
	struct dispatch_seen s;

	for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
		pid_t c = begin(on[i].fn);

		ok(is_told(c, on[i].offset, on[i].len, on[i].selector), "%s",
		   on[i].what);
		end(c);
		ok(told(c, &s) == 0, "%s: gone with the process", on[i].what);
	}
}

static void test_off(void)
{
	pid_t plain = begin(begin_plain), over = begin(begin_ended);
	struct dispatch_seen s;

	ok(told(plain, &s) == 0, "of a thread without it nothing is told");
	ok(told(over, &s) == 0, "nor of one that has ended it");
	end(plain);
	end(over);
}

static void *one_of_many(void *arg)
{
	size_t i = (size_t)arg;

	if (set(1000 + i, 1, &allow))
		__atomic_store_n(&tids[i], gettid(), __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}

static bool begin_many(void)
{
	pthread_t id;

	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&id, NULL, one_of_many, (void *)i) != 0)
			return false;
	for (size_t i = 0; i < THREADS; i++)
		while (!__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST))
			sched_yield();
	return true;
}

static void test_many(void)
{
	pid_t c = begin(begin_many);
	auto_free struct dispatch_seen *v = NULL;
	uint64_t before = clock_monotonic_ns();
	size_t n = 0, right = 0;

	(void)user_dispatch_read(look, &v, &n);
	diag("%zu threads are told of in %lu us", n,
	     (unsigned long)((clock_monotonic_ns() - before) / 1000));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < THREADS; k++)
			right += v[i].tid == (uint64_t)tids[k] &&
				 v[i].offset == 1000 + k;
	ok(right == THREADS, "%d threads, each with its own", THREADS);
	end(c);
}

/* It is 1 there. */
static bool begin_inside(void)
{
	if (unshare(CLONE_NEWPID) < 0)
		return false;
	tids[0] = begin(begin_selected);
	return true;
}

/* The reader sees its own number, not that of who has made its namespace. */
static bool sees_itself(void)
{
	struct dispatch_seen s;

	return getpid() == 1 && set(4321, 7, &allow) &&
	       told(getpid(), &s) == 1 && s.offset == 4321 && s.len == 7;
}

static void test_namespace(void)
{
	pid_t c;
	struct dispatch_seen s;
	int status = 1;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(2);
		pid = fork();
		if (pid == 0)
			_exit(!sees_itself());
		_exit(waitpid(pid, &status, 0) != pid || status);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "pid 1 of a pid namespace sees itself as 1");
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(2);
		pid = fork();
		if (pid == 0) {
			look = user_dispatch_open();
			_exit(look < 0 || !sees_itself());
		}
		_exit(waitpid(pid, &status, 0) != pid || status);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "also when it has opened it there");
	c = begin(begin_inside);
	ok(told(tids[0], &s) == 1, "one in a namespace is seen from outside");
	end(c);
}

static void test_forked(void)
{
	pid_t c = begin(begin_forked);
	struct dispatch_seen s;

	ok(is_told(c, 0, 0, &allow) && told(tids[0], &s) == 0,
	   "a child does not have what its parent has");
	end(c);
}

static bool nobody(void)
{
	return setresuid(65534, 65534, 65534) == 0 && user_dispatch_open() < 0;
}

static bool without_descriptors(void)
{
	const struct rlimit none = { 3, 3 };

	return setrlimit(RLIMIT_NOFILE, &none) == 0 && user_dispatch_open() < 0;
}

static bool passes(begin_fn fn)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(!fn());
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
	uint64_t before = clock_monotonic_ns();
	int by_ptrace;

	look = user_dispatch_open();
	if (look < 0)
		skip_all("no look at user dispatch: %s", strerror(-look));
	diag("ready in %lu us",
	     (unsigned long)((clock_monotonic_ns() - before) / 1000));
	tids = mmap(NULL, THREADS * sizeof(*tids), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	before = clock_monotonic_ns();
	by_ptrace = user_dispatch_by_ptrace();
	diag("ptrace: %s, told in %lu us", strerror(by_ptrace),
	     (unsigned long)((clock_monotonic_ns() - before) / 1000));
	test_values();
	test_off();
	test_many();
	test_forked();
	ok(passes(nobody), "without a right there is none");
	ok(passes(without_descriptors), "without descriptors neither");
	test_namespace();
	close(look);
	return done_testing();
}
