/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zombies end as they once did, before the job's signal actions are in place:
 * a parent that ignores SIGCHLD now would reap them.  What their end and
 * that of helpers has put into queues is taken out again; what belongs there
 * comes from the image later.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/building.h"
#include "util/cleanup.h"

#define END_TIMEOUT_MS 10000
#define COMM_MAX       16

static int set_identity(struct building *b, struct puppet *p,
			const TaskRecord *rec, struct err *err)
{
	uint64_t at = remote_buffer(p->task.remote);
	uint64_t uid = b->owner.uid, gid = b->owner.gid;
	char comm[COMM_MAX] = "";
	int64_t value;
	int r;

	memcpy(comm, rec->comm, strnlen(rec->comm, COMM_MAX - 1));
	r = puppet_call(p, "no core file", &value, err, __NR_prctl,
			PR_SET_DUMPABLE, 0, 0, 0, 0, 0);
	if (r == 0)
		r = remote_write(p->task.remote, at, comm, sizeof(comm), err);
	if (r == 0)
		r = puppet_call(p, "name", &value, err, __NR_prctl, PR_SET_NAME,
				at, 0, 0, 0, 0);
	if (r == 0)
		r = puppet_call(p, "gid", &value, err, __NR_setresgid, gid, gid,
				gid, 0, 0, 0);
	if (r == 0)
		r = puppet_call(p, "uid", &value, err, __NR_setresuid, uid, uid,
				uid, 0, 0, 0);
	return r < 0 ? r : puppet_leave(p, err);
}

/* Let it run into its end: exit_group with its status, or its signal. */
static int release(struct puppet *p, uint32_t status, struct err *err)
{
	struct tracee *t = &p->task.threads[0].tracee;
	struct user_regs_struct regs;
	int signal = (int)(status & 0x7f), r;

	r = tracee_get_regs(t, &regs, err);
	if (r < 0)
		return r;
	regs.rip = puppet_syscall_at(p);
	regs.rax = __NR_exit_group;
	regs.rdi = status >> 8 & 0xff;
	regs.orig_rax = UINT64_MAX;
	if (signal) {
		r = tracee_set_sigmask(t, 0, err);
		if (r == 0 && kill(p->task.pid, signal) < 0)
			r = err_sys(err, "signal %d", signal);
		regs.rax = __NR_pause;
	}
	if (r == 0)
		r = tracee_set_regs(t, &regs, err);
	if (r < 0)
		return r;
	return tracee_detach(t, err);
}

static int end_zombie(struct building *b, struct puppet *p,
		      const TaskRecord *rec, struct err *err)
{
	auto_close int pidfd = pidfd_open(p->task.pid, 0);
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };
	int r;

	if (pidfd < 0)
		return err_sys(err, "pidfd");
	/* It may have made sockets. */
	r = channel_close(p, err);
	if (r == 0)
		r = set_identity(b, p, rec, err);
	if (r < 0)
		return r;
	if ((rec->exit_status & 0x7f) == SIGKILL) {
		puppet_kill(p);
		return 0;
	}
	r = release(p, rec->exit_status, err);
	if (r < 0)
		return r;
	do
		r = poll(&poll_fd, 1, END_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r != 1)
		return err_set(err, -ETIMEDOUT, "does not end with status %#x",
			       rec->exit_status);
	p->gone = true;
	return 0;
}

static int take_signals_back(struct puppet *p, struct err *err)
{
	uint64_t at = remote_buffer(p->task.remote);
	struct {
		uint64_t set;
		struct timespec none;
	} wait = { .set = UINT64_MAX };
	const uint64_t args[6] = {
		at, 0, at + sizeof(wait.set), sizeof(wait.set), 0, 0
	};
	int64_t value;
	int r;

	r = puppet_enter(p, &p->task.threads[0], err);
	if (r == 0)
		r = remote_write(p->task.remote, at, &wait, sizeof(wait), err);
	do {
		if (r == 0)
			r = remote_syscall(p->task.remote, __NR_rt_sigtimedwait,
					   args, &value, err);
	} while (r == 0 && value > 0);
	if (r == 0 && value != -EAGAIN)
		r = err_num(err, (int)value, "rt_sigtimedwait");
	return r < 0 ? err_wrap(err, r, "pid %d", p->task.ns_pid) : 0;
}

int build_zombies(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks; i++) {
		if (!b->puppets[i].task.zombie)
			continue;
		r = end_zombie(b, &b->puppets[i], b->plan->tasks[i], err);
		if (r < 0)
			return err_wrap(err, r, "zombie %d",
					b->puppets[i].task.ns_pid);
	}
	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++)
		if (!b->puppets[i].gone)
			r = take_signals_back(&b->puppets[i], err);
	return r;
}
