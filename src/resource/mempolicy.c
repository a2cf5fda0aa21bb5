// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where memory has to come from on a node with several memories: policies of
 * threads (set_mempolicy) and of memory (mbind).  Nodes are kept by their
 * position among those that the job may use, and go to those that the new
 * allocation has at these positions; in a smaller one positions wrap around.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "resource/resource.h"

#ifndef MPOL_DEFAULT
#define MPOL_DEFAULT 0
#endif
#define OF_ADDRESS     (1u << 1)  /* MPOL_F_ADDR */
#define OF_ALLOWED     (1u << 2)  /* MPOL_F_MEMS_ALLOWED */
#define RELATIVE_NODES (1u << 14) /* MPOL_F_RELATIVE_NODES */

#define ASKED    128  /* at a time */
#define NOT_TOLD (-1) /* no mode */

#define NODES      4096 /* more than any kernel can be built for */
#define MASK_BYTES (NODES / 8)

struct nodes {
	uint8_t bits[MASK_BYTES];
};

static bool has_node(const struct nodes *n, size_t node)
{
	return n->bits[node / 8] >> (node % 8) & 1;
}

/* -ENOSYS: a kernel without NUMA. */
static int get_policy(struct remote *remote, uint64_t addr, unsigned int of,
		      int32_t *ret_mode, struct nodes *ret, struct err *err)
{
	uint64_t at = remote_buffer(remote);
	const uint64_t args[6] = { at, at + 64, NODES, addr, of };
	int64_t value;
	int r;

	r = remote_syscall(remote, __NR_get_mempolicy, args, &value, err);
	if (r < 0)
		return r;
	if (value < 0)
		return err_num(err, (int)value, "get_mempolicy");
	r = remote_read(remote, at, ret_mode, sizeof(*ret_mode), err);
	return r < 0 ? r : remote_read(remote, at + 64, ret, sizeof(*ret), err);
}

/* Without the bytes that are zero at the end. */
static ProtobufCBinaryData pack(struct nodes *n)
{
	size_t len = MASK_BYTES;

	while (len && !n->bits[len - 1])
		len--;
	return (ProtobufCBinaryData){ .len = len, .data = n->bits };
}

static int read_policy(struct remote *remote, uint64_t addr, unsigned int of,
		       MemPolicy *ret, struct nodes *nodes,
		       struct nodes *allowed, struct err *err)
{
	int32_t mode, unused;
	int r;

	r = get_policy(remote, addr, of, &mode, nodes, err);
	if (r < 0)
		return r;
	ret->mode = (uint32_t)mode;
	if (mode == MPOL_DEFAULT)
		return 0;
	r = get_policy(remote, 0, OF_ALLOWED, &unused, allowed, err);
	ret->has_nodes = ret->has_allowed = 1;
	ret->nodes = pack(nodes);
	ret->allowed = pack(allowed);
	return r;
}

static int thread_dump(const struct dump_ctx *ctx,
		       const struct thread_view *thread, struct err *err)
{
	ThreadPolicyRecord rec = THREAD_POLICY_RECORD__INIT;
	MemPolicy policy = MEM_POLICY__INIT;
	struct nodes nodes = { 0 }, allowed = { 0 };
	int r;

	r = read_policy(thread->remote, 0, 0, &policy, &nodes, &allowed, err);
	if (r == -ENOSYS)
		return 0;
	if (r < 0)
		return r;
	rec.tid = thread->ns_tid;
	rec.policy = &policy;
	return img_put(ctx->out, TAG_THREAD_POLICY, &rec.base, err);
}

static int dump_memory(const struct dump_ctx *ctx, const struct task_view *task,
		       const struct vma *vma, struct err *err)
{
	MemoryPolicyRecord rec = MEMORY_POLICY_RECORD__INIT;
	MemPolicy policy = MEM_POLICY__INIT;
	struct nodes nodes = { 0 }, allowed = { 0 };
	int r;

	r = read_policy(task->remote, vma->start, OF_ADDRESS, &policy, &nodes,
			&allowed, err);
	if (r < 0 || policy.mode == MPOL_DEFAULT)
		return r;
	rec.pid = task->ns_pid;
	rec.start = vma->start;
	rec.end = vma->end;
	rec.policy = &policy;
	return img_put(ctx->out, TAG_MEMORY_POLICY, &rec.base, err);
}

/* The next mappings that may have one, up to ASKED. */
static size_t choose(const struct vma_list *vmas, size_t *at,
		     const struct vma *ret[ASKED])
{
	size_t n = 0;

	for (; *at < vmas->count && n < ASKED; ++*at)
		if (vmas->v[*at].policy)
			ret[n++] = &vmas->v[*at];
	return n;
}

/* Most have none: what they have is asked for of all at once. */
static int ask_modes(struct remote *remote, const struct vma *const *vmas,
		     size_t n, int32_t modes[ASKED], struct err *err)
{
	uint64_t at = remote_buffer(remote);
	struct remote_args calls[ASKED];
	int r;

	for (size_t i = 0; i < n; i++) {
		modes[i] = NOT_TOLD;
		calls[i] = (struct remote_args){
			__NR_get_mempolicy,
			{ at + i * sizeof(*modes), 0, 0, vmas[i]->start,
			  OF_ADDRESS },
		};
	}
	r = remote_write(remote, at, modes, n * sizeof(*modes), err);
	r = r < 0 ? r : remote_batch(remote, calls, n, err);
	return r < 0 ? r
		     : remote_read(remote, at, modes, n * sizeof(*modes), err);
}

static int memory_dump(const struct dump_ctx *ctx, const struct task_view *task,
		       struct err *err)
{
	const struct vma *vmas[ASKED];
	int32_t modes[ASKED];
	size_t at = 0, n;
	int r = 0;

	while (r == 0 && (n = choose(task->vmas, &at, vmas))) {
		r = ask_modes(task->remote, vmas, n, modes, err);
		for (size_t i = 0; i < n && r == 0; i++)
			if (modes[i] != MPOL_DEFAULT)
				r = dump_memory(ctx, task, vmas[i], err);
	}
	/* A kernel without NUMA has no policies. */
	return r == -ENOSYS ? 0 : r;
}

static int unpack(const MemPolicy *policy, bool has, ProtobufCBinaryData data,
		  struct nodes *ret, struct err *err)
{
	*ret = (struct nodes){ 0 };
	if (policy->mode > UINT16_MAX || data.len > MASK_BYTES)
		return err_set(err, -EBADMSG, "bad policy");
	if (has && data.len)
		memcpy(ret->bits, data.data, data.len);
	return 0;
}

static size_t count_nodes(const struct nodes *n)
{
	size_t count = 0;

	for (size_t i = 0; i < NODES; i++)
		count += has_node(n, i);
	return count;
}

static size_t nth_node(const struct nodes *n, size_t nth)
{
	size_t node = 0;

	while (!has_node(n, node) || nth--)
		node++;
	return node;
}

/* Nodes outside of the old allocation have no position: they stay. */
static void move_nodes(const struct nodes *there, const struct nodes *here,
		       struct nodes *nodes)
{
	size_t count = count_nodes(here), position = 0;
	struct nodes moved = { 0 };

	if (!count || memcmp(there, here, sizeof(*here)) == 0)
		return;
	for (size_t i = 0; i < NODES; i++) {
		size_t to = i;

		if (has_node(there, i))
			to = nth_node(here, position++ % count);
		if (has_node(nodes, i))
			moved.bits[to / 8] |= (uint8_t)(1u << (to % 8));
	}
	*nodes = moved;
}

/* The nodes for here, written where a call can find them. */
static int place_nodes(struct remote *remote, const MemPolicy *policy,
		       struct err *err)
{
	struct nodes nodes, there, here = { 0 };
	int32_t unused;
	int r;

	r = unpack(policy, policy->has_nodes, policy->nodes, &nodes, err);
	if (r == 0)
		r = unpack(policy, policy->has_allowed, policy->allowed, &there,
			   err);
	if (r == 0 && policy->mode != MPOL_DEFAULT)
		r = get_policy(remote, 0, OF_ALLOWED, &unused, &here, err);
	if (r < 0)
		return r;
	/* Relative ones are positions already. */
	if (!(policy->mode & RELATIVE_NODES))
		move_nodes(&there, &here, &nodes);
	return remote_write(remote, remote_buffer(remote), &nodes,
			    sizeof(nodes), err);
}

/* Modes that take no nodes (default, local) want none named. */
static uint64_t mask_size(const MemPolicy *policy)
{
	return policy->has_nodes && policy->nodes.len ? NODES : 0;
}

static int thread_restore(struct restore_ctx *ctx, struct restore_task *task,
			  struct restore_thread *thread,
			  const ProtobufCMessage *msg, struct err *err)
{
	const MemPolicy *policy = ((const ThreadPolicyRecord *)msg)->policy;
	uint64_t size = mask_size(policy);
	int64_t value;
	int r;

	(void)ctx;
	(void)thread;
	r = place_nodes(task->remote, policy, err);
	if (r < 0)
		return r;
	return remote_call(task->remote, "set_mempolicy", &value, err,
			   __NR_set_mempolicy, policy->mode,
			   size ? remote_buffer(task->remote) : 0, size, 0, 0,
			   0);
}

/* Before contents come in: where they come to is decided then. */
static int memory_restore(struct restore_ctx *ctx, struct restore_task *task,
			  struct restore_thread *thread,
			  const ProtobufCMessage *msg, struct err *err)
{
	const MemoryPolicyRecord *rec = (const MemoryPolicyRecord *)msg;
	uint64_t size = mask_size(rec->policy);
	int64_t value;
	int r;

	(void)ctx;
	(void)thread;
	if (rec->start >= rec->end)
		return err_set(err, -EBADMSG, "bad range");
	r = place_nodes(task->remote, rec->policy, err);
	if (r == 0)
		r = remote_call(
			task->remote, "mbind", &value, err, __NR_mbind,
			rec->start, rec->end - rec->start, rec->policy->mode,
			size ? remote_buffer(task->remote) : 0, size, 0);
	return r < 0 ? err_wrap(err, r, "mapping %#llx-%#llx",
				(unsigned long long)rec->start,
				(unsigned long long)rec->end)
		     : 0;
}

static const struct remote_ask asks[] = {
	{ "get_mempolicy", __NR_get_mempolicy, 0, { 0 } },
	{ 0 },
};

const struct resource_ops res_memory_policy = {
	.name = "memory policy",
	.saved = "NUMA policies of mappings, and which nodes pages are on, by "
		 "position in the allocation",
	.tag = TAG_MEMORY_POLICY,
	.scope = SCOPE_TASK,
	.stage = STAGE_MAP,
	.dump_task = memory_dump,
	.asks = asks,
	.restore = memory_restore,
};

const struct resource_ops res_thread_policy = {
	.name = "thread policy",
	.saved = "NUMA policy of a thread, by position in the allocation",
	.tag = TAG_THREAD_POLICY,
	.scope = SCOPE_THREAD,
	.stage = STAGE_THREAD,
	.dump_thread = thread_dump,
	.asks = asks,
	.restore = thread_restore,
};
