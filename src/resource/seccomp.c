// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filters of system calls.  Each thread has a chain of them that only grows;
 * the oldest were there when the job began, and are made again by whoever
 * launches it.  Nobody can see whether two threads have the very same filter
 * or only equal ones: what is equal at the beginning of the chains of all
 * threads of a process is made once for all, so that the program can go on to
 * add filters for all its threads (SECCOMP_FILTER_FLAG_TSYNC).
 *
 * A filter may hinder a program that has privileges: only with no_new_privs
 * may an ordinary thread have one, and an edited snapshot changes nothing in
 * that, since the thread itself installs it, with its user's rights.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "inject/filters.h"
#include "resource/resource.h"
#include "util/cleanup.h"

#define MODE_STRICT 1 /* of /proc/PID/status */
#define EFFECTIVE   2 /* proc_status.caps */
#define INSN        sizeof(struct sock_filter)

static void refuse(const struct thread_view *thread, struct refusals *no,
		   const char *remedy, const char *what)
{
	refusals_add(no, thread->task->ns_pid, thread->task->stat->comm, -1,
		     remedy, "thread %d %s", (int)thread->ns_tid, what);
}

static bool may_filter(const struct proc_status *st)
{
	return st->no_new_privs || st->caps[EFFECTIVE] >> CAP_SYS_ADMIN & 1;
}

/* May any call, of any code, be told to another process? */
static int check_notify(const struct thread_view *thread, struct refusals *no,
			struct err *err)
{
	const struct bpf_call any = { 0 };
	struct filters f = { 0 };
	int r;

	r = filters_read(thread->tracee, &f, err);
	/* Why they cannot be read is told where calls are checked. */
	if (r == -EACCES)
		return 0;
	if (r == 0 && filters_answers(&f, &any) & BPF_ASKS)
		refuse(thread, no, "run it without a supervisor of its calls",
		       "is under a seccomp filter that asks another process");
	filters_done(&f);
	return r;
}

static int seccomp_check(const struct dump_ctx *ctx,
			 const struct thread_view *thread, struct refusals *no,
			 struct err *err)
{
	const struct proc_status *st = thread->status;
	bool own = st->seccomp_filters > ctx->options->inherited_filters;

	if (!st->seccomp)
		return 0;
	if (st->seccomp == MODE_STRICT) {
		refuse(thread, no, "use a seccomp filter instead",
		       "is in strict seccomp mode, in which no call that a "
		       "checkpoint needs is allowed");
		return 0;
	}
	if (own && !may_filter(st))
		refuse(thread, no, "set no_new_privs before",
		       "is under a seccomp filter that its user may not "
		       "install");
	if (own && !st->no_new_privs && thread->task->status->no_new_privs)
		refuse(thread, no, "set it in all threads",
		       "is under a seccomp filter without no_new_privs, which "
		       "its main thread has");
	if (!thread->tracee || !thread->tracee->stopped)
		return 0;
	return check_notify(thread, no, err);
}

static int put(const struct dump_ctx *ctx, const struct thread_view *thread,
	       const struct filters *f, size_t shared, struct err *err)
{
	size_t n = f->count - shared;
	auto_free SeccompFilter *list = calloc(n + 1, sizeof(*list));
	auto_free SeccompFilter **at = calloc(n + 1, sizeof(*at));
	SeccompRecord rec = SECCOMP_RECORD__INIT;

	if (!list || !at)
		return err_num(err, ENOMEM, "filters");
	for (size_t i = 0; i < n; i++) {
		seccomp_filter__init(&list[i]);
		list[i].code.data = (uint8_t *)f->list[shared + i].code;
		list[i].code.len = f->list[shared + i].len * INSN;
		list[i].log = f->list[shared + i].log;
		at[i] = &list[i];
	}
	rec.tid = thread->ns_tid;
	rec.shared = (uint32_t)shared;
	rec.n_filters = n;
	rec.filters = at;
	return img_put(ctx->out, TAG_SECCOMP, &rec.base, err);
}

static int seccomp_dump(const struct dump_ctx *ctx,
			const struct thread_view *thread, struct err *err)
{
	struct filters f = { 0 }, leader = { 0 };
	size_t shared = 0;
	int r = 0;

	if (!thread->status->seccomp)
		return 0;
	r = filters_read(thread->tracee, &f, err);
	if (r == 0 && f.count != thread->status->seccomp_filters)
		r = err_set(err, -EIO, "%zu filters, not %u", f.count,
			    thread->status->seccomp_filters);
	if (r == 0 && thread->ns_tid != thread->task->ns_pid) {
		r = filters_read(thread->task->leader, &leader, err);
		shared = filters_common(&f, &leader);
	}
	if (r == 0)
		r = put(ctx, thread, &f, shared, err);
	filters_done(&leader);
	filters_done(&f);
	return r;
}

static const SeccompRecord *find(struct restore_ctx *ctx,
				 const struct restore_thread *thread)
{
	return (const SeccompRecord *)ctx->engine->find(
		ctx->engine->arg, TAG_SECCOMP, (uint32_t)thread->ns_tid);
}

/* A chain whose code is the records': free only its list. */
static int add_record(struct filters *chain, const SeccompRecord *rec,
		      size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		const SeccompFilter *f = rec->filters[i];

		if (f->code.len == 0 || f->code.len % INSN ||
		    f->code.len / INSN > BPF_MAXINSNS)
			return err_set(err, -EBADMSG, "a filter of %zu bytes",
				       f->code.len);
		chain->list[chain->count++] =
			(struct filter){ (struct sock_filter *)f->code.data,
					 f->code.len / INSN, f->log };
	}
	return 0;
}

static int check_total(const struct filters *chain, struct err *err)
{
	size_t insns = 0;

	for (size_t i = 0; i < chain->count; i++)
		insns += chain->list[i].len + FILTERS_PENALTY;
	return insns > FILTERS_MAX_INSNS
		       ? err_set(err, -EBADMSG, "filters of %zu instructions",
				 insns)
		       : 0;
}

/* All filters that a thread is to have, as its record and its leader's say. */
static int make_chain(struct restore_ctx *ctx, struct restore_task *task,
		      const SeccompRecord *rec, struct filters *ret,
		      struct err *err)
{
	const SeccompRecord *leader = find(ctx, &task->threads[0]);
	struct filters chain = { 0 };
	int r = 0;

	if (rec->shared > (leader && leader != rec ? leader->n_filters : 0) ||
	    rec->n_filters > FILTERS_MAX_INSNS)
		return err_set(err, -EBADMSG, "%u filters of its leader, %zu",
			       rec->shared, rec->n_filters);
	chain.list =
		calloc(rec->shared + rec->n_filters + 1, sizeof(*chain.list));
	if (!chain.list)
		return err_num(err, ENOMEM, "filters");
	if (rec->shared)
		r = add_record(&chain, leader, rec->shared, err);
	if (r == 0)
		r = add_record(&chain, rec, rec->n_filters, err);
	if (r == 0)
		r = check_total(&chain, err);
	if (r < 0)
		free(chain.list);
	else
		*ret = chain;
	return r;
}

/* So many of the oldest are those of all threads. */
static size_t count_common(struct restore_ctx *ctx,
			   const struct restore_task *task)
{
	const SeccompRecord *rec = find(ctx, &task->threads[0]);
	size_t common = rec ? rec->n_filters : 0;

	for (size_t i = 1; i < task->nthreads && common; i++) {
		rec = find(ctx, &task->threads[i]);
		if (!rec || rec->shared < common)
			common = rec ? rec->shared : 0;
	}
	return common;
}

static int refused_here(int64_t value, struct err *err)
{
	if (value == -EACCES)
		return err_set(err, -EPERM,
			       "a filter that only root can install (there is "
			       "no no_new_privs): whoever launched the job had "
			       "it, let slurmd here run under the same");
	if (value > 0)
		return err_set(err, -EIO, "thread %d differs", (int)value);
	return err_num(err, (int)value, "install");
}

static int install(struct remote *remote, const struct filter *f,
		   unsigned int flags, struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	const struct sock_fprog program = {
		.len = (unsigned short)f->len,
		.filter = (struct sock_filter *)(at + sizeof(program)),
	};
	const uint64_t args[6] = { SECCOMP_SET_MODE_FILTER, 0, at };
	uint64_t call[6] = { args[0], flags, args[2] };
	int64_t value;
	int r;

	/* What it does to speculation was saved as what the thread has. */
	call[1] |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	if (f->log)
		call[1] |= SECCOMP_FILTER_FLAG_LOG;
	if (sizeof(program) + f->len * INSN > remote_buffer_size(remote))
		return err_set(err, -E2BIG, "filter of %zu", f->len);
	r = remote_write(remote, at, &program, sizeof(program), err);
	if (r == 0)
		r = remote_write(remote, at + sizeof(program), f->code,
				 f->len * INSN, err);
	if (r == 0)
		r = remote_syscall(remote, __NR_seccomp, call, &value, err);
	if (r < 0)
		return r;
	return value ? refused_here(value, err) : 0;
}

static int install_some(struct remote *remote, const struct filters *chain,
			size_t from, size_t to, unsigned int flags,
			struct err *err)
{
	int r = 0;

	for (size_t i = from; i < to && r == 0; i++)
		r = install(remote, &chain->list[i], flags, err);
	return r;
}

/*
 * From now on filters are asked, but not by our calls.  What the leader
 * installs comes to all at once.
 */
static int suspend(struct restore_task *task, struct restore_thread *thread,
		   struct err *err)
{
	bool leader = thread == &task->threads[0];
	int r = tracee_suspend_filters(&thread->tracee, true, err);

	for (size_t i = 1; leader && i < task->nthreads && r == 0; i++)
		r = tracee_suspend_filters(&task->threads[i].tracee, true, err);
	return r < 0 ? err_wrap(err, r,
				"jobcr itself must not run under a filter")
		     : 0;
}

/* What all threads have, by the leader.  All exist, and none has any yet. */
static int seccomp_restore(struct restore_ctx *ctx, struct restore_task *task,
			   struct restore_thread *thread,
			   const ProtobufCMessage *msg, struct err *err)
{
	const SeccompRecord *rec = (const SeccompRecord *)msg;
	const struct filters *here;
	struct filters chain = { 0 };
	int r;

	r = ctx->engine->inherited_filters(ctx->engine->arg, task, &here, err);
	if (r == 0)
		r = suspend(task, thread, err);
	if (r < 0 || thread != &task->threads[0])
		return r;
	r = make_chain(ctx, task, rec, &chain, err);
	if (r < 0)
		return r;
	r = install_some(task->remote, &chain, filters_common(&chain, here),
			 count_common(ctx, task), SECCOMP_FILTER_FLAG_TSYNC,
			 err);
	free(chain.list);
	return r;
}

static int count_now(const struct restore_task *task,
		     const struct restore_thread *thread, size_t *ret,
		     struct err *err)
{
	auto_close int fd = -EBADF;
	struct proc_status st;
	int r;

	r = proc_open(task->pid, thread->tid, &fd, err);
	r = r < 0 ? r : proc_read_status(fd, &st, err);
	if (r < 0)
		return r;
	*ret = st.seccomp_filters;
	proc_status_done(&st);
	return 0;
}

/* Nothing is taken for granted: they are counted before and afterwards. */
static int install_rest(const struct restore_task *task,
			const struct restore_thread *thread,
			const struct filters *chain, const struct filters *here,
			struct err *err)
{
	size_t skipped = filters_common(chain, here), now = 0;
	size_t wanted = here->count + chain->count - skipped;
	int r;

	r = count_now(task, thread, &now, err);
	if (r == 0 && (now < here->count || now > wanted))
		r = err_set(err, -EIO, "%zu filters of %zu", now, wanted);
	if (r == 0)
		r = install_some(task->remote, chain,
				 chain->count - (wanted - now), chain->count, 0,
				 err);
	r = r < 0 ? r : count_now(task, thread, &now, err);
	if (r == 0 && now != wanted)
		r = err_set(err, -EIO, "%zu filters, not %zu", now, wanted);
	return r;
}

/* What only this one has. */
static int seccomp_finish(struct restore_ctx *ctx, struct restore_task *task,
			  struct restore_thread *thread,
			  const ProtobufCMessage *msg, struct err *err)
{
	const struct filters *here;
	struct filters chain = { 0 };
	int r;

	r = ctx->engine->inherited_filters(ctx->engine->arg, task, &here, err);
	if (r == 0)
		r = make_chain(ctx, task, (const SeccompRecord *)msg, &chain,
			       err);
	if (r < 0)
		return r;
	r = install_rest(task, thread, &chain, here, err);
	free(chain.list);
	return r;
}

const struct resource_ops res_seccomp = {
	.name = "seccomp",
	.saved = "filters, those of all threads as such, whether they log",
	.refused = "strict mode; filters that ask another process, that only "
		   "root can install, or that would harm the job if a "
		   "checkpoint were killed",
	.changes = "filters that slurmd runs under are those of the new node",
	.tag = TAG_SECCOMP,
	.scope = SCOPE_THREAD,
	.stage = STAGE_LAST,
	.check_thread = seccomp_check,
	.dump_thread = seccomp_dump,
	.restore = seccomp_restore,
	.stage2 = STAGE_ARM,
	.restore2 = seccomp_finish,
};
