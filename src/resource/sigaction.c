// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Signal actions.  Only the process itself can read them whole: /proc has the
 * two bitmaps of caught and ignored signals, but flags and masks count even
 * where the action is the default (SA_NOCLDWAIT).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "resource/resource.h"
#include "util/cleanup.h"

#define LAST_SIGNAL 64

struct kernel_sigaction { /* as rt_sigaction(2) takes it on x86-64 */
	uint64_t handler, flags, restorer, mask;
};

static bool is_fixed(int sig)
{
	return sig == SIGKILL || sig == SIGSTOP;
}

/* Answers are left in the buffer one behind the other, and read at once. */
static int read_actions(struct remote *remote,
			struct kernel_sigaction ret[LAST_SIGNAL],
			struct err *err)
{
	struct remote_args calls[LAST_SIGNAL];
	uint64_t at = remote_buffer(remote);
	size_t n = 0;
	int sig, r;

	/* No action has all flags: so it shows where nothing was written. */
	memset(ret, 0xff, LAST_SIGNAL * sizeof(*ret));
	r = remote_write(remote, at, ret, LAST_SIGNAL * sizeof(*ret), err);
	for (sig = 1; sig <= LAST_SIGNAL; sig++)
		if (!is_fixed(sig))
			calls[n++] = (struct remote_args){
				__NR_rt_sigaction,
				{ (uint64_t)sig, 0,
				  at + (uint64_t)(sig - 1) * sizeof(*ret), 8 },
			};
	r = r < 0 ? r : remote_batch(remote, calls, n, err);
	r = r < 0 ? r
		  : remote_read(remote, at, ret, LAST_SIGNAL * sizeof(*ret),
				err);
	for (sig = 1; sig <= LAST_SIGNAL && r == 0; sig++)
		if (!is_fixed(sig) && ret[sig - 1].flags == UINT64_MAX)
			r = err_set(err, -EIO, "rt_sigaction of signal %d",
				    sig);
	return r;
}

static bool is_zero(const struct kernel_sigaction *a)
{
	return !a->handler && !a->flags && !a->restorer && !a->mask;
}

static int sigaction_dump(const struct dump_ctx *ctx,
			  const struct task_view *task, struct err *err)
{
	struct kernel_sigaction actions[LAST_SIGNAL];
	SigactionEntry entries[LAST_SIGNAL], *list[LAST_SIGNAL];
	SigactionRecord rec = SIGACTION_RECORD__INIT;
	int sig, r;

	r = read_actions(task->remote, actions, err);
	if (r < 0)
		return r;
	rec.pid = task->ns_pid;
	rec.actions = list;
	for (sig = 1; sig <= LAST_SIGNAL; sig++) {
		const struct kernel_sigaction *a = &actions[sig - 1];
		SigactionEntry *e = &entries[rec.n_actions];

		if (is_fixed(sig) || is_zero(a))
			continue;
		sigaction_entry__init(e);
		e->signal = (uint32_t)sig;
		e->handler = a->handler;
		e->flags = a->flags;
		e->restorer = a->restorer;
		e->mask = a->mask;
		list[rec.n_actions++] = e;
	}
	return img_put(ctx->out, TAG_SIGACTION, &rec.base, err);
}

static int unpack(const SigactionRecord *rec,
		  struct kernel_sigaction ret[LAST_SIGNAL], struct err *err)
{
	size_t i;

	memset(ret, 0, LAST_SIGNAL * sizeof(*ret));
	for (i = 0; i < rec->n_actions; i++) {
		const SigactionEntry *e = rec->actions[i];

		if (e->signal < 1 || e->signal > LAST_SIGNAL ||
		    is_fixed((int)e->signal))
			return err_set(err, -EBADMSG, "signal %u", e->signal);
		ret[e->signal - 1].handler = e->handler;
		ret[e->signal - 1].flags = e->flags;
		ret[e->signal - 1].restorer = e->restorer;
		ret[e->signal - 1].mask = e->mask;
	}
	return 0;
}

/* Signals that the puppet ignores because the supervisor did. */
static int inherited_ignored(const struct restore_task *task, uint64_t *ret,
			     struct err *err)
{
	struct proc_status st = { 0 };
	auto_close int proc_fd = -EBADF;
	int r;

	r = proc_open(task->pid, 0, &proc_fd, err);
	if (r < 0)
		return r;
	r = proc_read_status(proc_fd, &st, err);
	if (r < 0)
		return r;
	*ret = st.sig_ignored;
	proc_status_done(&st);
	return 0;
}

static int set_action(struct remote *remote, int sig, uint64_t at,
		      struct err *err)
{
	return remote_later(remote, "action of signal", 0, err,
			    __NR_rt_sigaction, (uint64_t)sig, at, 0, 8, 0, 0);
}

/*
 * Zombies and helpers of the build have left SIGCHLDs behind that the job
 * never got: to ignore a signal discards what is pending of it.
 */
static int discard_sigchld(struct remote *remote, struct err *err)
{
	static const struct kernel_sigaction ignore = {
		.handler = (uint64_t)(uintptr_t)SIG_IGN,
	};
	uint64_t at = remote_buffer(remote);
	int r;

	r = remote_write(remote, at, &ignore, sizeof(ignore), err);
	r = r < 0 ? r : set_action(remote, SIGCHLD, at, err);
	return r < 0 ? r : remote_flush(remote, err);
}

static int sigaction_restore(struct restore_ctx *ctx, struct restore_task *task,
			     struct restore_thread *thread,
			     const ProtobufCMessage *msg, struct err *err)
{
	const SigactionRecord *rec = (const SigactionRecord *)msg;
	struct kernel_sigaction actions[LAST_SIGNAL];
	uint64_t at = remote_buffer(task->remote);
	uint64_t ignored;
	int sig, r;

	r = unpack(rec, actions, err);
	if (r < 0)
		return r;
	r = inherited_ignored(task, &ignored, err);
	if (r < 0)
		return r;
	r = discard_sigchld(task->remote, err);
	if (r < 0)
		return r;
	r = remote_write(task->remote, at, actions, sizeof(actions), err);
	if (r < 0)
		return r;
	for (sig = 1; sig <= LAST_SIGNAL; sig++) {
		if (is_fixed(sig) ||
		    (is_zero(&actions[sig - 1]) && sig != SIGCHLD &&
		     !(ignored & 1ull << (sig - 1))))
			continue;
		r = set_action(task->remote, sig,
			       at + (uint64_t)(sig - 1) * sizeof(*actions),
			       err);
		if (r < 0)
			return r;
	}
	/* The buffer is the next one's. */
	return remote_flush(task->remote, err);
}

static const struct remote_ask asks[] = {
	{ "rt_sigaction", __NR_rt_sigaction, 0, { 0 } },
	{ 0 },
};

const struct resource_ops res_sigaction = {
	.name = "signal actions",
	.saved = "all, with flags and masks",
	.tag = TAG_SIGACTION,
	.scope = SCOPE_TASK,
	.stage = STAGE_LATE,
	.dump_task = sigaction_dump,
	.asks = asks,
	.restore = sigaction_restore,
};
