// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pending signals.  A signal that came from the kernel or from kill(2) can
 * only be queued again by its receiver: the leader for the queue of the
 * process, each thread for its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "images/signal.pb-c.h"
#include "images/tags.h"
#include "resource/resource.h"
#include "util/cleanup.h"

#define SIGINFO_BYTES 128
#define LAST_SIGNAL   64

/* si_signo is the first int of a siginfo. */
static int signal_of(const uint8_t *siginfo)
{
	int signo;

	memcpy(&signo, siginfo, sizeof(signo));
	return signo;
}

/*
 * Beyond RLIMIT_SIGPENDING the kernel keeps a standard signal as a mere bit:
 * it is delivered as from kill(2) by nobody.  Queued so, it arrives the same.
 */
static size_t add_bare(uint64_t pending, const uint8_t *queue, size_t count,
		       uint8_t (*ret)[SIGINFO_BYTES])
{
	size_t i, n = 0;
	int sig;

	for (i = 0; i < count; i++) {
		sig = signal_of(queue + i * SIGINFO_BYTES);
		if (sig >= 1 && sig <= LAST_SIGNAL)
			pending &= ~(1ull << (sig - 1));
	}
	for (sig = 1; sig <= LAST_SIGNAL; sig++) {
		if (!(pending & 1ull << (sig - 1)))
			continue;
		memset(ret[n], 0, SIGINFO_BYTES);
		memcpy(ret[n++], &sig, sizeof(sig));
	}
	return n;
}

/* A record holds RECORD_MAX_BYTES: a long queue is cut into several. */
#define SIGNALS_PER_RECORD 16384

static int put(const struct dump_ctx *ctx, pid_t tid, bool shared,
	       ProtobufCBinaryData *list, size_t count, struct err *err)
{
	SigqueueRecord rec = SIGQUEUE_RECORD__INIT;
	size_t done;
	int r;

	for (done = 0; done < count; done += rec.n_siginfo) {
		rec.tid = tid;
		rec.shared = shared;
		rec.siginfo = list + done;
		rec.n_siginfo = count - done;
		if (rec.n_siginfo > SIGNALS_PER_RECORD)
			rec.n_siginfo = SIGNALS_PER_RECORD;
		r = img_put(ctx->out, TAG_SIGQUEUE, &rec.base, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int dump_queue(const struct dump_ctx *ctx, pid_t tid, bool shared,
		      uint8_t *queue, size_t count, uint64_t pending,
		      struct err *err)
{
	uint8_t bare[LAST_SIGNAL][SIGINFO_BYTES];
	size_t nbare = add_bare(pending, queue, count, bare);
	auto_free ProtobufCBinaryData *list = NULL;
	size_t i;

	if (count + nbare == 0)
		return 0;
	list = calloc(count + nbare, sizeof(*list));
	if (!list)
		return err_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < count + nbare; i++) {
		list[i].len = SIGINFO_BYTES;
		list[i].data =
			i < count ? queue + i * SIGINFO_BYTES : bare[i - count];
		/* It cannot be blocked: a restored copy would act on it
		 * while it is being built. */
		if (signal_of(list[i].data) == SIGSTOP)
			return err_set(err, -EAGAIN,
				       "a SIGSTOP is just being delivered");
	}
	return put(ctx, tid, shared, list, count + nbare, err);
}

static int dump_shared(const struct dump_ctx *ctx,
		       const struct thread_view *thread, struct err *err)
{
	auto_free uint8_t *queue = NULL;
	size_t count = 0;
	int r;

	r = tracee_peek_signals(thread->tracee, true, &queue, &count, err);
	if (r < 0)
		return r;
	return dump_queue(ctx, thread->ns_tid, true, queue, count,
			  thread->status->shared_pending, err);
}

static int sigqueue_dump(const struct dump_ctx *ctx,
			 const struct thread_view *thread, struct err *err)
{
	int r;

	r = dump_queue(ctx, thread->ns_tid, false, thread->siginfo,
		       thread->nsiginfo, thread->status->sig_pending, err);
	if (r < 0 || thread->tid != thread->task->pid)
		return r;
	return dump_shared(ctx, thread, err);
}

static int queue_one(struct remote *remote, const SigqueueRecord *rec,
		     pid_t tgid, const uint8_t *siginfo, struct err *err)
{
	uint64_t at = remote_buffer(remote);
	uint64_t sig = (uint64_t)signal_of(siginfo);
	int64_t value;
	int r;

	r = remote_write(remote, at, siginfo, SIGINFO_BYTES, err);
	if (r < 0)
		return r;
	if (rec->shared)
		return remote_call(remote, "rt_sigqueueinfo", &value, err,
				   __NR_rt_sigqueueinfo, (uint64_t)tgid, sig,
				   at, 0, 0, 0);
	return remote_call(remote, "rt_tgsigqueueinfo", &value, err,
			   __NR_rt_tgsigqueueinfo, (uint64_t)tgid,
			   (uint64_t)rec->tid, sig, at, 0, 0);
}

static int sigqueue_restore(struct restore_ctx *ctx, struct restore_task *task,
			    struct restore_thread *thread,
			    const ProtobufCMessage *msg, struct err *err)
{
	const SigqueueRecord *rec = (const SigqueueRecord *)msg;
	size_t i;
	int r;

	if (rec->shared && thread->ns_tid != task->ns_pid)
		return err_set(err, -EBADMSG,
			       "a shared queue in a thread that is no leader");
	for (i = 0; i < rec->n_siginfo; i++) {
		const ProtobufCBinaryData *info = &rec->siginfo[i];
		int sig;

		if (info->len != SIGINFO_BYTES)
			return err_set(err, -EBADMSG, "siginfo of %zu bytes",
				       info->len);
		sig = signal_of(info->data);
		if (sig < 1 || sig > LAST_SIGNAL || sig == SIGKILL ||
		    sig == SIGSTOP)
			return err_set(err, -EBADMSG, "pending signal %d", sig);
		r = queue_one(task->remote, rec, task->ns_pid, info->data, err);
		if (r == -EAGAIN)
			return err_wrap(err, r,
					"more signals than this user may have "
					"pending here (ulimit -i)");
		if (r < 0)
			return r;
	}
	return 0;
}

const struct resource_ops res_sigqueue = {
	.name = "pending signals",
	.saved = "private and shared, with values, of any number",
	.tag = TAG_SIGQUEUE,
	.scope = SCOPE_THREAD,
	.stage = STAGE_SIGNALS,
	.dump_thread = sigqueue_dump,
	.restore = sigqueue_restore,
};
