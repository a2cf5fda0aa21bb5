/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is read after its process was killed and reaped: page by page,
 * with the words that the kernel changes at the end as they were.  And one
 * whose memory the kernel took meanwhile: an error, never zeroes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/hold.h"
#include "engine/pin.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define PAGES 2000u
#define PAGE  4096u
#define LEN   (PAGES * PAGE)

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

static uint8_t *base;
/* A word across two pages, and one in the middle of a page. */
static uint64_t words[2];

static void fill(void)
{
	for (size_t i = 0; i < LEN; i += 8)
		*(uint64_t *)(base + i) = i * 0x9e3779b97f4a7c15ull;
}

/* Stopped by itself when its memory is filled; words: changed at its end. */
static pid_t start(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fill();
		raise(SIGSTOP);
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			memset((void *)(uintptr_t)words[i], 0, 4);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, WUNTRACED) != pid ||
	    !WIFSTOPPED(status))
		exit(1);
	return pid;
}

static int pin_process(pid_t pid, struct pin **ret, const struct pin_memory **m,
		       struct err *err)
{
	auto_close int proc_fd = -EBADF;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = pin_new(ret, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(words); i++)
		r = pin_add_word(*ret, pid, proc_fd, words[i], err);
	if (r == 0)
		r = pin_add(*ret, pid, proc_fd, (uint64_t)(uintptr_t)base, m,
			    err);
	return r < 0 ? r : pin_hold(*ret, err);
}

static void end(pid_t pid, int sig)
{
	int status;

	kill(pid, sig);
	waitpid(pid, &status, 0);
}

/* As it was when it was pinned, in pieces of n pages. */
static bool same(const struct pin_memory *m, size_t n)
{
	static uint8_t copy[LEN];
	struct err err;

	memset(copy, 1, LEN);
	for (size_t i = 0; i < PAGES; i += n)
		if (pin_read(m, (uint64_t)(uintptr_t)base + i * PAGE,
			     copy + i * PAGE, n * PAGE, &err) < 0) {
			diag("page %zu: %s", i, err.text);
			return false;
		}
	fill();
	return memcmp(copy, base, LEN) == 0;
}

static void outlives(void)
{
	const struct pin_memory *m = NULL;
	struct pin *pin = NULL;
	struct err err = { 0 };
	pid_t pid = start();

	ok(pin_process(pid, &pin, &m, &err) == 0, "a process is pinned: %s",
	   err.text);
	end(pid, SIGKILL);
	ok(m && same(m, 1) && same(m, 250),
	   "its memory can be read after its death");
	pin_free(pin);
}

static void words_stay(void)
{
	const struct pin_memory *m = NULL;
	struct pin *pin = NULL;
	struct err err = { 0 };
	pid_t pid = start();

	ok(pin_process(pid, &pin, &m, &err) == 0 && (end(pid, SIGCONT), 1) &&
		   same(m, 1) && same(m, 500),
	   "words that change at the end are as they were: %s", err.text);
	pin_free(pin);
}

static void let_go(void)
{
	auto_close int mem_fd = -EBADF;
	const struct pin_memory *m = NULL;
	struct pin *pin = NULL;
	struct err err = { 0 };
	pid_t pid = start();
	char path[64], byte;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (pin_process(pid, &pin, &m, &err) < 0)
		diag("%s", err.text);
	end(pid, SIGKILL);
	ok(pread(mem_fd, &byte, 1, (off_t)(uintptr_t)base) == 1,
	   "held after its death");
	pin_free(pin);
	ok(pread(mem_fd, &byte, 1, (off_t)(uintptr_t)base) == 0,
	   "and gone with the pin");
}

/*
 * What the kernel does when memory runs out, or who asks it to: of a process
 * on its way out, before it is dead.  False: it was faster.
 */
static bool take(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status;
	bool taken;

	kill(pid, SIGKILL);
	taken = syscall(SYS_process_mrelease, pidfd, 0) == 0;
	waitpid(pid, &status, 0);
	close(pidfd);
	return taken;
}

static void taken(void)
{
	for (int i = 0; i < 200; i++) {
		const struct pin_memory *m = NULL;
		struct pin *pin = NULL;
		struct err err = { 0 };
		pid_t pid = start();
		bool done, told;
		uint8_t byte;

		if (pin_process(pid, &pin, &m, &err) < 0)
			diag("%s", err.text);
		done = take(pid);
		told = done && m &&
		       pin_read(m, (uint64_t)(uintptr_t)base, &byte, 1, &err) ==
			       -EIO;
		pin_free(pin);
		if (!done)
			continue;
		ok(told, "memory that was taken is an error");
		return;
	}
	skip("process_mrelease was never in time, or is not in this kernel");
}

static void refuses(void)
{
	struct pin *pin = NULL;
	struct err err = { 0 };
	int r = pin_new(&pin, &err);

	pin_refuse(pin, "the first %s", "reason");
	pin_refuse(pin, "another");
	r = r < 0 ? r : pin_hold(pin, &err);
	ok(r == -EOPNOTSUPP && strcmp(err.text, "the first reason") == 0,
	   "refused: %s", err.text);
	pin_free(pin);
}

static void unreadable(void)
{
	struct hold *hold = NULL;
	struct err err = { 0 };
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	int r = hold_new(&hold, &err);

	if (r == 0)
		r = hold_add(hold, fd, 0, &err);
	if (r == 0)
		r = hold_await(hold, &err);
	ok(r == -EOPNOTSUPP, "no page, no hold: %s", err.text);
	hold_free(hold);
	close(fd);
}

int main(void)
{
	struct hold *hold = NULL;
	struct err err = { 0 };

	if (geteuid() != 0)
		skip_all("needs root");
	if (hold_new(&hold, &err) < 0)
		skip_all("%s", err.text);
	hold_free(hold);
	base = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	words[0] = (uint64_t)(uintptr_t)base + 7 * PAGE + 96;
	words[1] = (uint64_t)(uintptr_t)base + 1000 * PAGE - 2;
	outlives();
	words_stay();
	let_go();
	taken();
	refuses();
	unreadable();
	return done_testing();
}
