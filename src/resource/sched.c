// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scheduling of a thread.  It is set by the restored thread itself once it
 * has its user's credentials and limits, so that the kernel decides whether
 * it may have the priority that the snapshot names.  Affinity is kept as a
 * position in the allocation, never as CPU numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "images/tags.h"
#include "images/thread.pb-c.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/cpu_order.h"

#define CPU_BYTES 1024 /* of a mask: 8192 CPUs */

static int get_attr(pid_t tid, struct sched_attr *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	if (syscall(SYS_sched_getattr, tid, ret, sizeof(*ret), 0) < 0)
		return err_sys(err, "sched_getattr");
	return 0;
}

/* *ret_len: bytes that the kernel's mask has. */
static int get_affinity(pid_t tid, uint8_t ret[CPU_BYTES], size_t *ret_len,
			struct err *err)
{
	long n;

	memset(ret, 0, CPU_BYTES);
	n = syscall(SYS_sched_getaffinity, tid, CPU_BYTES, ret);
	if (n < 0)
		return err_sys(err, "sched_getaffinity");
	*ret_len = (size_t)n;
	return 0;
}

static bool is_realtime(uint32_t policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR ||
	       policy == SCHED_DEADLINE;
}

static bool is_known(uint32_t policy)
{
	return is_realtime(policy) || policy == SCHED_NORMAL ||
	       policy == SCHED_BATCH || policy == SCHED_IDLE;
}

/*
 * Linux 6.12 tells the time slice of every thread, also of those that never
 * asked for one: that one depends on the node and is not to be kept.
 */
static uint64_t own_runtime(const struct sched_attr *attr)
{
	struct sched_attr usual;
	struct err ignored;

	if (is_realtime(attr->sched_policy) ||
	    get_attr(0, &usual, &ignored) < 0 ||
	    usual.sched_runtime != attr->sched_runtime)
		return attr->sched_runtime;
	return 0;
}

/* The soft limit of a process, without CAP_SYS_RESOURCE: from /proc. */
static uint64_t soft_limit(int proc_fd, const char *name)
{
	auto_close int fd = openat(proc_fd, "limits", O_RDONLY | O_CLOEXEC);
	char text[4096];
	const char *at;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, name);
	if (!at)
		return 0;
	at += strlen(name);
	at += strspn(at, " ");
	return *at == 'u' ? UINT64_MAX : strtoull(at, NULL, 10);
}

/* A thread that shares its core only with those of the same cookie. */
static bool has_cookie(pid_t tid)
{
	uint64_t cookie = 0;

	return prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, tid,
		     PR_SCHED_CORE_SCOPE_THREAD, &cookie) == 0 &&
	       cookie != 0;
}

static void check_cookie(const struct thread_view *thread, struct refusals *no)
{
	if (has_cookie(thread->tid))
		refusals_add(no, thread->task->ns_pid, thread->task->stat->comm,
			     -1, "run it without core scheduling",
			     "thread %d has a core scheduling cookie",
			     (int)thread->ns_tid);
}

/* What root gave to an ordinary user's thread cannot be given again. */
static int sched_check(const struct dump_ctx *ctx,
		       const struct thread_view *thread, struct refusals *no,
		       struct err *err)
{
	const struct task_view *task = thread->task;
	struct sched_attr attr;
	bool beyond = false;
	int r;

	r = get_attr(thread->tid, &attr, err);
	if (r < 0)
		return r;
	check_cookie(thread, no);
	if (!is_known(attr.sched_policy)) {
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "use another scheduling policy",
			     "thread %d has scheduling policy %u",
			     (int)thread->ns_tid, attr.sched_policy);
		return 0;
	}
	if (ctx->options->owner->uid == 0)
		return 0;
	if (attr.sched_policy == SCHED_DEADLINE)
		beyond = true;
	else if (is_realtime(attr.sched_policy))
		beyond = soft_limit(task->proc_fd, "Max realtime priority") <
			 attr.sched_priority;
	else if (attr.sched_nice < 0)
		beyond = soft_limit(task->proc_fd, "Max nice priority") <
			 (uint64_t)(20 - attr.sched_nice);
	if (beyond)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "give the job a limit that allows it "
			     "(ulimit -e, -r), or no priority",
			     "thread %d has a priority that its user may not "
			     "set (policy %u, nice %d)",
			     (int)thread->ns_tid, attr.sched_policy,
			     attr.sched_nice);
	return 0;
}

static bool has_cpu(const uint8_t *mask, size_t len, size_t cpu)
{
	return cpu / 8 < len && mask[cpu / 8] & 1u << cpu % 8;
}

/* The CPUs of an allocation: positions in it are those in v. */
struct cpus {
	uint32_t v[CPU_BYTES * 8];
	size_t count;
	uint8_t left[CPU_BYTES]; /* that are not in v yet */
};

static bool add_cpu(struct cpus *c, uint32_t cpu)
{
	if (!has_cpu(c->left, CPU_BYTES, cpu))
		return false;
	c->left[cpu / 8] &= (uint8_t) ~(1u << cpu % 8);
	c->v[c->count++] = cpu;
	return true;
}

static void cpus_begin(struct cpus *c, const uint8_t *mask, size_t len)
{
	c->count = 0;
	memset(c->left, 0, CPU_BYTES);
	memcpy(c->left, mask, len < CPU_BYTES ? len : CPU_BYTES);
}

static void add_by_number(struct cpus *c)
{
	for (uint32_t byte = 0; byte < CPU_BYTES; byte++)
		for (uint32_t bit = 0; c->left[byte] && bit < 8; bit++)
			(void)add_cpu(c, byte * 8 + bit);
}

static bool is_empty(const uint8_t mask[CPU_BYTES])
{
	static const uint8_t none[CPU_BYTES];

	return memcmp(mask, none, CPU_BYTES) == 0;
}

static void take_cpus(struct cpus *c, const uint8_t *mask, size_t len,
		      const struct cpu_order *order)
{
	cpus_begin(c, mask, len);
	for (size_t i = 0; order && i < order->count; i++)
		(void)add_cpu(c, order->v[i]);
	add_by_number(c);
}

static bool is_bound(const uint8_t *affinity, const uint8_t *allowed,
		     size_t len)
{
	return len > CPU_BYTES || memcmp(affinity, allowed, len) != 0;
}

static int sched_dump(const struct dump_ctx *ctx,
		      const struct thread_view *thread, struct err *err)
{
	const struct dump_options *options = ctx->options;
	SchedRecord rec = SCHED_RECORD__INIT;
	uint8_t affinity[CPU_BYTES] = { 0 };
	struct sched_attr attr;
	struct cpus cpus;
	int r;

	r = get_attr(thread->tid, &attr, err);
	if (r == 0)
		r = get_affinity(thread->tid, affinity, &rec.affinity.len, err);
	if (r < 0)
		return r;
	rec.tid = thread->ns_tid;
	rec.policy = attr.sched_policy;
	rec.flags = attr.sched_flags;
	rec.nice = attr.sched_nice;
	rec.priority = attr.sched_priority;
	rec.runtime = own_runtime(&attr);
	rec.deadline = attr.sched_deadline;
	rec.period = attr.sched_period;
	rec.affinity.data = affinity;
	rec.allowed.data = (uint8_t *)options->allowed_cpus;
	rec.allowed.len = options->allowed_cpus_len;
	if (options->cpu_order && options->cpu_order->count &&
	    is_bound(affinity, options->allowed_cpus,
		     options->allowed_cpus_len)) {
		take_cpus(&cpus, rec.allowed.data, rec.allowed.len,
			  options->cpu_order);
		rec.order = cpus.v;
		rec.n_order = cpus.count;
	}
	if (attr.size >= SCHED_ATTR_SIZE_VER1) {
		rec.has_util_min = rec.has_util_max = 1;
		rec.util_min = attr.sched_util_min;
		rec.util_max = attr.sched_util_max;
	}
	return img_put(ctx->out, TAG_SCHED, &rec.base, err);
}

/* false: they are not the allocation's, each once. */
static bool take_old(struct cpus *c, const SchedRecord *rec)
{
	cpus_begin(c, rec->allowed.data, rec->allowed.len);
	for (size_t i = 0; i < rec->n_order; i++)
		if (!add_cpu(c, rec->order[i]))
			return false;
	if (rec->n_order)
		return is_empty(c->left);
	add_by_number(c);
	return true;
}

/*
 * The thread was on the nth CPU of its old allocation: put it on the nth of
 * the new.  In a smaller one positions wrap around; a thread that was free to
 * use all of the old is free to use all of the new.
 */
static void map_affinity(const SchedRecord *rec, const struct cpus *old,
			 const struct cpus *here, uint8_t ret[CPU_BYTES])
{
	size_t taken = 0;

	memset(ret, 0, CPU_BYTES);
	for (size_t i = 0; i < old->count; i++) {
		uint32_t to = here->v[i % here->count];

		if (!has_cpu(rec->affinity.data, rec->affinity.len, old->v[i]))
			continue;
		ret[to / 8] |= (uint8_t)(1u << to % 8);
		taken++;
	}
	for (size_t i = 0; i < here->count && taken == old->count; i++)
		ret[here->v[i] / 8] |= (uint8_t)(1u << here->v[i] % 8);
}

static int set_affinity(struct restore_ctx *ctx, struct remote *remote,
			pid_t tid, const SchedRecord *rec, struct err *err)
{
	uint8_t wanted[CPU_BYTES], now[CPU_BYTES];
	struct cpus old, here;
	int64_t value;
	size_t len;
	int r;

	if (rec->affinity.len > CPU_BYTES || rec->allowed.len > CPU_BYTES)
		return err_set(err, -EBADMSG, "more than %d CPUs",
			       CPU_BYTES * 8);
	if (!take_old(&old, rec))
		return err_set(err, -EBADMSG,
			       "CPUs in an order that is not that of its "
			       "allocation");
	take_cpus(&here, ctx->allowed_cpus, ctx->allowed_cpus_len,
		  ctx->cpu_order);
	if (ctx->allowed_cpus_len > CPU_BYTES || !here.count)
		return err_set(err, -EINVAL, "the allocation has no CPUs");
	r = get_affinity(tid, now, &len, err);
	if (r < 0)
		return r;
	map_affinity(rec, &old, &here, wanted);
	/* Bound to CPUs outside of its old allocation: there is no position. */
	if (is_empty(wanted))
		memcpy(wanted, ctx->allowed_cpus, ctx->allowed_cpus_len);
	if (!memcmp(wanted, now, CPU_BYTES))
		return 0;
	r = remote_write(remote, remote_buffer(remote), wanted, CPU_BYTES, err);
	return r < 0 ? r
		     : remote_call(remote, "sched_setaffinity", &value, err,
				   __NR_sched_setaffinity, 0, CPU_BYTES,
				   remote_buffer(remote), 0, 0, 0);
}

static void unpack(const SchedRecord *rec, struct sched_attr *ret)
{
	*ret = (struct sched_attr){
		.size = sizeof(*ret),
		.sched_policy = rec->policy,
		.sched_flags = rec->flags,
		.sched_nice = rec->nice,
		.sched_priority = rec->priority,
		.sched_runtime = rec->runtime,
		.sched_deadline = rec->deadline,
		.sched_period = rec->period,
		.sched_util_min = rec->util_min,
		.sched_util_max = rec->util_max,
	};
}

static bool is_same(const struct sched_attr *a, const struct sched_attr *b)
{
	return a->sched_policy == b->sched_policy &&
	       a->sched_flags == b->sched_flags &&
	       a->sched_nice == b->sched_nice &&
	       a->sched_priority == b->sched_priority &&
	       a->sched_runtime == b->sched_runtime &&
	       a->sched_deadline == b->sched_deadline &&
	       a->sched_period == b->sched_period &&
	       a->sched_util_min == b->sched_util_min &&
	       a->sched_util_max == b->sched_util_max;
}

/* A kernel without utilisation clamps says nothing of them, and takes none. */
static void set_clamps(const SchedRecord *rec, const struct sched_attr *here,
		       struct sched_attr *attr)
{
	if (attr->sched_util_min != here->sched_util_min)
		attr->sched_flags |= SCHED_FLAG_UTIL_CLAMP_MIN;
	if (attr->sched_util_max != here->sched_util_max)
		attr->sched_flags |= SCHED_FLAG_UTIL_CLAMP_MAX;
}

static int set_attr(struct remote *remote, pid_t tid, const SchedRecord *rec,
		    struct err *err)
{
	struct sched_attr attr, here;
	int64_t value;
	int r;

	unpack(rec, &attr);
	r = get_attr(tid, &here, err);
	if (r < 0 || is_same(&attr, &here))
		return r;
	here.sched_runtime = own_runtime(&here);
	if (is_same(&attr, &here))
		return 0;
	set_clamps(rec, &here, &attr);
	r = remote_write(remote, remote_buffer(remote), &attr, sizeof(attr),
			 err);
	if (r < 0)
		return r;
	r = remote_call(remote, "sched_setattr", &value, err,
			__NR_sched_setattr, 0, remote_buffer(remote), 0, 0, 0,
			0);
	return r < 0 ? err_wrap(err, r, "policy %u, priority %u, nice %d",
				rec->policy, rec->priority, rec->nice)
		     : 0;
}

static int sched_restore(struct restore_ctx *ctx, struct restore_task *task,
			 struct restore_thread *thread,
			 const ProtobufCMessage *msg, struct err *err)
{
	const SchedRecord *rec = (const SchedRecord *)msg;
	int r;

	if (!is_known(rec->policy))
		return err_set(err, -EBADMSG, "policy %u", rec->policy);
	r = set_affinity(ctx, task->remote, thread->tid, rec, err);
	if (r < 0)
		return r;
	return set_attr(task->remote, thread->tid, rec, err);
}

const struct resource_ops res_sched = {
	.name = "scheduling",
	.saved = "policy, priority, nice, deadline, time slice, clamps; CPUs "
		 "by position in the allocation",
	.refused = "priorities that the job's user may not set, other "
		   "policies, core scheduling",
	.tag = TAG_SCHED,
	.scope = SCOPE_THREAD,
	.stage = STAGE_LAST,
	.check_thread = sched_check,
	.dump_thread = sched_dump,
	.restore = sched_restore,
};
