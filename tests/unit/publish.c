/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/store.h"
#include "storage/writer.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

/*
 * The order in which a snapshot comes into being, seen from outside; then
 * the same with each of its steps failing, and with a death at each.
 */

enum fault { FAULT_NONE, FAULT_EIO, FAULT_KILL };

struct trace {
	pid_t pid;
	enum fault fault;
	unsigned int at; /* which step */
	unsigned int steps;
	char log[1024];
};

#define ORDER                                                                  \
	"create s, fsync s, create manifest.new, write manifest.new, "         \
	"fsync manifest.new, rename manifest.new manifest, "                   \
	"fsync 0000000001.new, rename 0000000001.new 0000000001, fsync job"

/* In the child: exits 0 when the snapshot is said to be there. */
static void save(int job_fd, int dir_fd)
{
	const struct writer_limits limits = { .buffer_bytes = 1 << 20,
					      .buffers = 2,
					      .no_direct = 1 };
	struct writer *w;
	struct err err;
	uint32_t stream;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	if (writer_new(dir_fd, &limits, &w, &err) < 0 ||
	    writer_open(w, "s", &stream, &err) < 0 ||
	    writer_put(w, stream, "data", 4, &err) < 0 ||
	    writer_finish(w, &err) < 0)
		_exit(1);
	_exit(store_publish(job_fd, 1, dir_fd, "manifest", 8, NULL, &err) < 0);
}

static void read_string(pid_t pid, uint64_t address, char text[64])
{
	struct iovec here = { text, 63 }, there = { (void *)address, 63 };
	ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

	text[n > 0 ? n : 0] = '\0';
}

static void file_name(pid_t pid, uint64_t fd, char text[64])
{
	char path[64], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, (int)fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	snprintf(text, 64, "%.63s",
		 strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

/* Steps are calls that change what is in storage. */
static bool describe(pid_t pid, const struct user_regs_struct *regs,
		     char text[160])
{
	char a[64], b[64];

	switch (regs->orig_rax) {
	case SYS_openat:
		read_string(pid, regs->rsi, a);
		snprintf(text, 160, "create %s", a);
		return regs->rdx & O_CREAT;
	case SYS_write:
		file_name(pid, regs->rdi, a);
		snprintf(text, 160, "write %s", a);
		return strncmp(a, "anon_inode", 10) != 0;
	case SYS_fsync:
		file_name(pid, regs->rdi, a);
		snprintf(text, 160, "fsync %s",
			 strncmp(a, "jobcr-test", 10) ? a : "job");
		return true;
	case SYS_renameat2:
		read_string(pid, regs->rsi, a);
		read_string(pid, regs->r10, b);
		snprintf(text, 160, "rename %s %s", a, b);
		return true;
	}
	return false;
}

static void next_stop(pid_t pid, int *status)
{
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	waitpid(pid, status, 0);
}

/* A system call begins: note it, and let it fail or let it be the last. */
static void enter(struct trace *t, int *status)
{
	struct user_regs_struct regs;
	char text[160];
	size_t used = strlen(t->log);
	bool hit;

	ptrace(PTRACE_GETREGS, t->pid, 0, &regs);
	hit = describe(t->pid, &regs, text);
	if (hit)
		snprintf(t->log + used, sizeof(t->log) - used, "%s%s",
			 used ? ", " : "", text);
	hit = hit && t->steps++ == t->at;
	if (hit && t->fault == FAULT_KILL) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, status, 0);
		return;
	}
	if (hit && t->fault == FAULT_EIO) {
		regs.orig_rax = (unsigned long)-1;
		ptrace(PTRACE_SETREGS, t->pid, 0, &regs);
	}
	next_stop(t->pid, status);
	if (hit && t->fault == FAULT_EIO && WIFSTOPPED(*status)) {
		ptrace(PTRACE_GETREGS, t->pid, 0, &regs);
		regs.rax = (unsigned long)-EIO;
		ptrace(PTRACE_SETREGS, t->pid, 0, &regs);
	}
}

/* Exit status of the child; -1 when it was killed. */
static int run(struct trace *t, int job_fd, int dir_fd)
{
	int status;

	t->steps = 0;
	t->log[0] = '\0';
	t->pid = fork();
	if (t->pid == 0)
		save(job_fd, dir_fd);
	waitpid(t->pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, t->pid, 0,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	next_stop(t->pid, &status);
	while (WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			enter(t, &status);
		if (WIFSTOPPED(status))
			next_stop(t->pid, &status);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int attempt(struct trace *t, int job_fd)
{
	struct err err;
	uint32_t number;
	int dir_fd, r;

	if (store_begin(job_fd, NULL, &number, &dir_fd, &err) < 0 ||
	    number != 1)
		return -2;
	r = run(t, job_fd, dir_fd);
	close(dir_fd);
	return r;
}

/* As a checkpoint after the accident finds it: go on, and tidy up. */
static bool goes_on(int job_fd)
{
	auto_free struct store_generation *all = NULL;
	auto_close int dir_fd = -EBADF;
	struct err err;
	uint32_t number;
	size_t count = 0;

	return store_begin(job_fd, NULL, &number, &dir_fd, &err) == 0 &&
	       number == 2 &&
	       store_publish(job_fd, 2, dir_fd, "manifest", 8, NULL, &err) ==
		       0 &&
	       store_retire(job_fd, 1, NULL, &err) == 0 &&
	       store_list(job_fd, NULL, &all, &count, &err) == 0 &&
	       count == 1 && all[0].number == 2 && all[0].complete;
}

static bool is_published(int job_fd)
{
	struct err err;
	uint32_t number;

	return store_newest(job_fd, NULL, &number, &err) == 0;
}

static bool looks_published(int job_fd)
{
	return faccessat(job_fd, "0000000001.new/manifest", F_OK, 0) == 0 ||
	       faccessat(job_fd, "0000000001", F_OK, 0) == 0;
}

static void test_fault(enum fault fault, unsigned int at, unsigned int rename)
{
	struct trace t = { .fault = fault, .at = at };
	char path[64];
	auto_close int job_fd = temp_dir(path);
	int r = attempt(&t, job_fd);

	if (fault == FAULT_EIO) {
		ok(r == 1 && !is_published(job_fd) && !looks_published(job_fd),
		   "step %u fails: an error, and no snapshot", at);
	} else {
		/* The rename is the instant: before it none, after it all. */
		ok(r == -1 && is_published(job_fd) == (at > rename),
		   "dead at step %u: %s", at,
		   at > rename ? "the snapshot is there" : "no snapshot");
	}
	ok(goes_on(job_fd), "the next checkpoint does not mind");
	temp_dir_remove(path);
}

int main(void)
{
	struct trace t = { .fault = FAULT_NONE };
	char path[64];
	int job_fd = temp_dir(path), r;
	unsigned int i, steps;

	r = attempt(&t, job_fd);
	if (r == -1)
		skip_all("processes cannot be traced here");
	ok(r == 0 && is_published(job_fd), "a snapshot is published");
	ok(!strcmp(t.log, ORDER), "each step is durable before the next: %s",
	   t.log);
	temp_dir_remove(path);
	close(job_fd);
	steps = t.steps;
	for (i = 0; i < steps; i++)
		test_fault(FAULT_EIO, i, steps - 2);
	for (i = 0; i < steps; i++)
		test_fault(FAULT_KILL, i, steps - 2);
	return done_testing();
}
