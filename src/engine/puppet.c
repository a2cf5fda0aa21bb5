/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/puppet.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parasite/puppet.h"
#include "util/clock.h"
#include "util/cleanup.h"

#define STOP_DEADLINE (10 * NSEC_PER_SEC)
#define SIGNALS       64
#define ALL_SIGNALS   UINT64_MAX

int puppet_init(struct puppet *p, pid_t ns_pid, const int32_t *tids,
		size_t nthreads, struct err *err)
{
	*p = (struct puppet){ .channel = -1, .far_end = -1 };
	p->task.ns_pid = ns_pid;
	p->task.threads = calloc(nthreads, sizeof(*p->task.threads));
	if (!p->task.threads)
		return err_num(err, ENOMEM, "pid %d: %zu threads", ns_pid,
			       nthreads);
	p->task.nthreads = nthreads;
	for (size_t i = 0; i < nthreads; i++)
		p->task.threads[i].ns_tid = tids[i];
	return 0;
}

uint64_t puppet_syscall_at(const struct puppet *p)
{
	return p->home.start ? p->home.start : PUPPET_SYSCALL;
}

static int new_remote(struct puppet *p, struct err *err)
{
	if (p->home.start)
		return remote_new_puppet(
			p->task.pid, &p->task.threads[0].tracee, p->home.start,
			p->home.start + PUPPET_AGENT_CODE, PUPPET_AGENT_BUFFER,
			&p->task.remote, err);
	return remote_new_puppet(p->task.pid, &p->task.threads[0].tracee,
				 PUPPET_SYSCALL, PUPPET_BUFFER,
				 PUPPET_BUFFER_SIZE, &p->task.remote, err);
}

/* Ignored signals outlive an exec, and whoever started us may ignore some. */
static int default_actions(struct puppet *p, struct err *err)
{
	static const uint8_t zero[32];
	uint64_t at = remote_buffer(p->task.remote);
	int r;

	r = remote_write(p->task.remote, at, zero, sizeof(zero), err);
	r = r < 0 ? r : puppet_enter(p, &p->task.threads[0], err);
	for (int sig = 1; sig <= SIGNALS && r == 0; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			r = remote_later(p->task.remote, "default action", 0,
					 err, __NR_rt_sigaction, (uint64_t)sig,
					 at, 0, 8, 0, 0);
	r = r < 0 ? r : remote_flush(p->task.remote, err);
	return r < 0 ? err_wrap(err, r, "pid %d", p->task.ns_pid) : 0;
}

static bool runs_program(pid_t pid)
{
	uint64_t auxv[2 * 64] = { 0 };
	char path[64];
	auto_close int fd = -EBADF;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, auxv, sizeof(auxv));
	for (ssize_t i = 0; i < len / 16; i++)
		if (auxv[2 * i] == AT_ENTRY)
			return auxv[2 * i + 1] == PUPPET_ENTRY;
	return false;
}

/* It was forked a moment ago and may not have come to its exec yet. */
static int wait_for_program(pid_t pid, struct err *err)
{
	uint64_t deadline = clock_monotonic_ns() + STOP_DEADLINE;
	struct timespec nap = { .tv_nsec = 200000 };

	while (!runs_program(pid)) {
		if (clock_monotonic_ns() > deadline)
			return err_set(err, -ETIMEDOUT,
				       "does not run the puppet program");
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

/* Who possesses root's session keyring may use what is in it. */
static int leave_keyring(struct puppet *p, struct err *err)
{
	const uint64_t args[6] = { KEYCTL_JOIN_SESSION_KEYRING };
	int64_t value;
	int r;

	r = remote_syscall(p->task.remote, __NR_keyctl, args, &value, err);
	if (r < 0)
		return r;
	/* A kernel without keys has none to lose. */
	if (value < 0 && value != -ENOSYS)
		return err_num(err, (int)value, "pid %d: session keyring",
			       p->task.ns_pid);
	return 0;
}

/*
 * Filters that it was born with would be in the way of its calls; what it
 * gives birth to inherits this.  Where it is not permitted (we are under one
 * ourselves) its calls have to come through.
 */
static void suspend_inherited(struct tracee *t)
{
	struct filters filters = { 0 };
	struct err ignored;

	if (filters_read(t, &filters, &ignored) == 0 && filters.count)
		(void)tracee_suspend_filters(t, true, &ignored);
	filters_done(&filters);
}

int puppet_seize(struct puppet *p, pid_t pid, struct err *err)
{
	struct tracee *t = &p->task.threads[0].tracee;
	int64_t value;
	int r;

	p->task.pid = pid;
	p->task.threads[0].tid = pid;
	r = wait_for_program(pid, err);
	if (r == 0)
		r = tracee_seize(t, pid, true, err);
	if (r == 0)
		r = tracee_interrupt(t, err);
	if (r == 0)
		r = tracee_wait_stop(t, clock_monotonic_ns() + STOP_DEADLINE,
				     err);
	if (r == 0)
		r = tracee_set_sigmask(t, ALL_SIGNALS, err);
	if (r == 0)
		r = new_remote(p, err);
	if (r < 0)
		return err_wrap(err, r, "pid %d", p->task.ns_pid);
	suspend_inherited(t);
	r = default_actions(p, err);
	if (r < 0)
		return r;
	r = puppet_call(p, "close_range", &value, err, __NR_close_range, 0,
			UINT32_MAX, 0, 0, 0, 0);
	return r < 0 ? r : leave_keyring(p, err);
}

int puppet_fork(struct puppet *parent, int exit_signal, struct puppet *ret,
		struct err *err)
{
	struct tracee *t = &ret->task.threads[0].tracee;
	int r;

	r = puppet_enter(parent, &parent->task.threads[0], err);
	if (r < 0)
		return r;
	r = remote_clone(parent->task.remote, 0, exit_signal, ret->task.ns_pid,
			 t, err);
	if (r < 0)
		return err_wrap(err, r, "pid %d: child %d", parent->task.ns_pid,
				ret->task.ns_pid);
	ret->task.pid = t->tid;
	ret->task.threads[0].tid = t->tid;
	ret->home = parent->home;
	ret->task.agent_start = parent->task.agent_start;
	ret->task.agent_end = parent->task.agent_end;
	r = new_remote(ret, err);
	return r < 0 ? err_wrap(err, r, "pid %d", ret->task.ns_pid) : 0;
}

int puppet_leave(struct puppet *p, struct err *err)
{
	int r;

	if (!p->inside)
		return 0;
	p->inside = NULL;
	r = remote_end(p->task.remote, err);
	return r < 0 ? err_wrap(err, r, "pid %d", p->task.ns_pid) : 0;
}

int puppet_enter(struct puppet *p, struct restore_thread *thread,
		 struct err *err)
{
	int r;

	if (p->inside == thread)
		return 0;
	r = puppet_leave(p, err);
	if (r < 0)
		return r;
	r = remote_begin(p->task.remote, &thread->tracee, err);
	if (r < 0)
		return err_wrap(err, r, "pid %d: thread %d", p->task.ns_pid,
				thread->ns_tid);
	p->inside = thread;
	return 0;
}

int puppet_call(struct puppet *p, const char *what, int64_t *ret_value,
		struct err *err, long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		uint64_t a3, uint64_t a4, uint64_t a5)
{
	int r;

	r = puppet_enter(p, &p->task.threads[0], err);
	if (r < 0)
		return r;
	r = remote_call(p->task.remote, what, ret_value, err, nr, a0, a1, a2,
			a3, a4, a5);
	return r < 0 ? err_wrap(err, r, "pid %d", p->task.ns_pid) : 0;
}

/* It dies with us until it runs: nothing of this outlives us in it. */
int puppet_faultfd(struct puppet *p, uint64_t flags, int *ret_fd,
		   struct err *err)
{
	const uint64_t call[6] = { flags };
	auto_close int pidfd = (int)syscall(SYS_pidfd_open, p->task.pid, 0);
	int64_t number, value;
	int r = puppet_enter(p, &p->task.threads[0], err);

	*ret_fd = -EBADF;
	if (r == 0)
		r = remote_syscall(p->task.remote, SYS_userfaultfd, call,
				   &number, err);
	if (r < 0 || number < 0)
		return r;
	*ret_fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)number, 0);
	return puppet_call(p, "close", &value, err, SYS_close, (uint64_t)number,
			   0, 0, 0, 0, 0);
}

/*
 * The leader is not reported before its threads have been waited for, so it
 * comes last.  Nobody traced and no child of ours: nothing to wait for.
 */
void puppet_kill(struct puppet *p)
{
	int status;

	if (p->gone || p->task.pid <= 0)
		return;
	(void)kill(p->task.pid, SIGKILL);
	for (size_t i = p->task.nthreads; i-- > 0;) {
		if (p->task.threads[i].tid <= 0)
			continue;
		do {
			status = 0;
			if (waitpid(p->task.threads[i].tid, &status, __WALL) <
			    0) {
				if (errno == EINTR)
					continue;
				break;
			}
		} while (!WIFEXITED(status) && !WIFSIGNALED(status));
	}
	p->gone = true;
}

void puppet_done(struct puppet *p)
{
	cleanup_close(&p->channel);
	spans_done(&p->blocks);
	spans_done(&p->held);
	free(p->lent);
	remote_free(p->task.remote);
	free(p->task.threads);
	*p = (struct puppet){ .channel = -1, .gone = true };
}
