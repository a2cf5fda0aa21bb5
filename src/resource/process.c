// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attributes that all threads of a process share: the prctl(2) ones, what
 * /proc lets others set, and the kinds of process that are not saved at all.
 */
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "images/process.pb-c.h"
#include "images/tags.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef ARCH_REQ_XCOMP_PERM
#define ARCH_GET_XCOMP_PERM 0x1022
#define ARCH_REQ_XCOMP_PERM 0x1023
#endif

#define MEMBARRIER_GET_REGISTRATIONS (1 << 9) /* Linux 6.3 */
#define XFEATURE_TILE_DATA           18       /* what must be asked for */
#define XCOMP_OPTIONAL               (1u << XFEATURE_TILE_DATA)

static int refuse(const struct task_view *task, struct refusals *no,
		  const char *remedy, const char *what)
{
	refusals_add(no, task->ns_pid, task->stat->comm, -1, remedy, "%s",
		     what);
	return 0;
}

/* 32-bit programs have other calls, registers and signal frames. */
static bool is_32bit(const struct task_view *task)
{
	auto_close int fd = openat(task->proc_fd, "exe", O_RDONLY | O_CLOEXEC);
	unsigned char ident[EI_NIDENT];

	return fd >= 0 && read(fd, ident, sizeof(ident)) == sizeof(ident) &&
	       !memcmp(ident, ELFMAG, SELFMAG) && ident[EI_CLASS] == ELFCLASS32;
}

static int process_check(const struct dump_ctx *ctx,
			 const struct task_view *task, struct refusals *no,
			 struct err *err)
{
	const struct proc_status *st = task->status;

	if (!task->leader && st->tracer)
		refuse(task, no, "end the debugger or strace first",
		       "it is being traced");
	if (st->shadow_stack)
		refuse(task, no, "set GLIBC_TUNABLES=glibc.cpu.x86_shstk=off",
		       "it uses a shadow stack");
	if (is_32bit(task))
		refuse(task, no, "use a 64-bit build of it",
		       "it is a 32-bit program");
	return 0;
}

static int get(struct remote *remote, const char *what, int option,
	       uint32_t *ret, struct err *err)
{
	int64_t value;
	int r;

	r = remote_call(remote, what, &value, err, __NR_prctl, (uint64_t)option,
			0, 0, 0, 0, 0);
	if (r == 0)
		*ret = (uint32_t)value;
	return r;
}

/* An option that this kernel may not know: then it is at its default. */
static int get_new(struct remote *remote, int option, uint32_t *ret,
		   struct err *err)
{
	const uint64_t args[6] = { (uint64_t)option };
	int64_t value;
	int r;

	r = remote_syscall(remote, __NR_prctl, args, &value, err);
	if (r == 0)
		*ret = value < 0 ? 0 : (uint32_t)value;
	return r;
}

static int get_subreaper(struct remote *remote, ProcessRecord *rec,
			 struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	int64_t value;
	int flag, r;

	r = remote_call(remote, "PR_GET_CHILD_SUBREAPER", &value, err,
			__NR_prctl, PR_GET_CHILD_SUBREAPER, at, 0, 0, 0, 0);
	if (r == 0)
		r = remote_read(remote, at, &flag, sizeof(flag), err);
	if (r == 0)
		rec->child_subreaper = flag != 0;
	return r;
}

static int get_xcomp(struct remote *remote, uint32_t *ret, struct err *err)
{
	const uint64_t at = remote_buffer(remote);
	const uint64_t args[6] = { ARCH_GET_XCOMP_PERM, at };
	uint64_t permitted = 0;
	int64_t value;
	int r;

	r = remote_syscall(remote, __NR_arch_prctl, args, &value, err);
	if (r == 0 && value == 0)
		r = remote_read(remote, at, &permitted, sizeof(permitted), err);
	if (r == 0)
		*ret = (uint32_t)permitted & XCOMP_OPTIONAL;
	return r;
}

/*
 * Before Linux 6.3 nobody tells, but a barrier that takes a registration is
 * not to be had without (EPERM).  Whether barriers of others reach a process
 * cannot be found out at all.  They harm none, so they will.
 */
static int try_membarriers(struct remote *remote, uint32_t *ret,
			   struct err *err)
{
	static const struct {
		uint64_t barrier;
		uint32_t registered;
	} commands[] = {
		{ MEMBARRIER_CMD_PRIVATE_EXPEDITED,
		  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED },
		{ MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
		  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE },
		{ MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
		  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ },
	};
	uint32_t all = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands) && r == 0; i++) {
		const uint64_t args[6] = { commands[i].barrier };
		int64_t value = -1;

		r = remote_syscall(remote, __NR_membarrier, args, &value, err);
		if (value == 0)
			all |= commands[i].registered;
	}
	if (r == 0)
		*ret = all;
	return r;
}

static int get_membarrier(struct remote *remote, uint32_t *ret, struct err *err)
{
	const uint64_t args[6] = { MEMBARRIER_GET_REGISTRATIONS };
	int64_t value;
	int r;

	r = remote_syscall(remote, __NR_membarrier, args, &value, err);
	if (r < 0)
		return r;
	if (value == -EINVAL)
		return try_membarriers(remote, ret, err);
	if (value < 0 && value != -ENOSYS)
		return err_num(err, (int)value,
			       "membarrier: registrations cannot be read");
	*ret = value < 0 ? 0 : (uint32_t)value;
	return 0;
}

static int refuse_ldt(struct remote *remote, struct err *err)
{
	const uint64_t args[6] = { 0, remote_buffer(remote), 8 };
	int64_t value;
	int r;

	r = remote_syscall(remote, __NR_modify_ldt, args, &value, err);
	if (r < 0)
		return r;
	return value > 0 ? err_set(err, -ENOTSUP,
				   "it has segments of its own "
				   "(modify_ldt), which are not saved")
			 : 0;
}

static int read_inside(struct remote *remote, ProcessRecord *rec,
		       struct err *err)
{
	uint32_t merge = 0;
	int r;

	r = refuse_ldt(remote, err);
	if (r == 0)
		r = get(remote, "PR_GET_DUMPABLE", PR_GET_DUMPABLE,
			&rec->dumpable, err);
	if (r == 0)
		r = get_subreaper(remote, rec, err);
	if (r == 0)
		r = get(remote, "PR_GET_THP_DISABLE", PR_GET_THP_DISABLE,
			&rec->thp_disable, err);
	if (r == 0)
		r = get_new(remote, PR_GET_MDWE, &rec->mdwe, err);
	if (r == 0)
		r = get_new(remote, PR_GET_MEMORY_MERGE, &merge, err);
	if (r == 0)
		r = get_membarrier(remote, &rec->membarrier, err);
	if (r == 0)
		r = get_xcomp(remote, &rec->xcomp_perm, err);
	rec->memory_merge = merge != 0;
	return r;
}

/* A number in a file of its own; base as the kernel prints it. */
static int read_number(int proc_fd, const char *name, int base, long *ret,
		       struct err *err)
{
	auto_free char *data = NULL;
	size_t len;
	char *end;
	int r;

	r = read_file_at(proc_fd, name, 64, &data, &len, err);
	if (r < 0)
		return err_wrap(err, r, "%s", name);
	errno = 0;
	*ret = strtol(data, &end, base);
	if (errno || end == data || *end != '\n')
		return err_set(err, -EIO, "%s: no number", name);
	return 0;
}

static int process_dump(const struct dump_ctx *ctx,
			const struct task_view *task, struct err *err)
{
	ProcessRecord rec = PROCESS_RECORD__INIT;
	long personality, adj, filter;
	int r;

	r = read_number(task->proc_fd, "personality", 16, &personality, err);
	if (r == 0)
		r = read_number(task->proc_fd, "oom_score_adj", 10, &adj, err);
	if (r == 0)
		r = read_number(task->proc_fd, "coredump_filter", 16, &filter,
				err);
	if (r == 0)
		r = read_inside(task->remote, &rec, err);
	if (r < 0)
		return r;
	rec.pid = task->ns_pid;
	rec.personality = (uint32_t)personality;
	rec.oom_score_adj = (int32_t)adj;
	rec.coredump_filter = (uint32_t)filter;
	return img_put(ctx->out, TAG_PROCESS, &rec.base, err);
}

static int write_number(int proc_fd, const char *name, const char *fmt,
			long value, struct err *err)
{
	auto_close int fd = openat(proc_fd, name, O_WRONLY | O_CLOEXEC);
	char text[32];

	if (fd < 0)
		return err_sys(err, "%s", name);
	snprintf(text, sizeof(text), fmt, value);
	return write_all(fd, text, strlen(text), err);
}

/*
 * Lowering it below what the launcher had takes CAP_SYS_RESOURCE, and is
 * nothing that a snapshot, which its user may have edited, can ask for.
 */
static int set_oom_score(const struct restore_owner *owner, int proc_fd,
			 int32_t wanted, struct err *err)
{
	long here;
	int r;

	r = read_number(proc_fd, "oom_score_adj", 10, &here, err);
	if (r < 0 || here == wanted)
		return r;
	if (wanted < here && owner->uid != 0)
		r = err_num(err, EPERM, "write");
	else
		r = write_number(proc_fd, "oom_score_adj", "%ld", wanted, err);
	return r < 0 ? err_wrap(err, r,
				"oom_score_adj: the job had %d, the "
				"launcher here has %ld: let slurmd run with no "
				"more than the job's (OOMScoreAdjust)",
				wanted, here)
		     : 0;
}

static int set(struct remote *remote, const char *what, int option,
	       uint64_t value, uint64_t flags, struct err *err)
{
	return remote_later(remote, what, REMOTE_ANY, err, __NR_prctl,
			    (uint64_t)option, value, flags, 0, 0, 0);
}

/* Registering costs a grace period in a process that has threads: early. */
static int set_membarrier(struct remote *remote, uint32_t registered,
			  struct err *err)
{
	int64_t value;
	int bit, r;

	for (bit = 0; bit < 32; bit++) {
		if (!(registered & 1u << bit))
			continue;
		r = remote_call(remote, "membarrier", &value, err,
				__NR_membarrier, 1u << bit, 0, 0, 0, 0, 0);
		if (r < 0)
			return err_wrap(err, r, "command %#x", 1u << bit);
	}
	return 0;
}

static int set_xcomp(struct remote *remote, uint32_t permitted, struct err *err)
{
	int64_t value;

	if (permitted & ~XCOMP_OPTIONAL)
		return err_set(err, -ENOTSUP, "extended states %#x", permitted);
	if (!permitted)
		return 0;
	return remote_call(remote, "permission for AMX", &value, err,
			   __NR_arch_prctl, ARCH_REQ_XCOMP_PERM,
			   XFEATURE_TILE_DATA, 0, 0, 0, 0);
}

/* What must be there before memory, registers and threads are. */
static int process_restore(struct restore_ctx *ctx, struct restore_task *task,
			   struct restore_thread *thread,
			   const ProtobufCMessage *msg, struct err *err)
{
	const ProcessRecord *rec = (const ProcessRecord *)msg;
	auto_close int proc_fd = -EBADF;
	int r;

	r = proc_open(task->pid, 0, &proc_fd, err);
	if (r == 0)
		r = set_oom_score(ctx->owner, proc_fd, rec->oom_score_adj, err);
	if (r == 0)
		r = write_number(proc_fd, "coredump_filter", "0x%lx",
				 (long)rec->coredump_filter, err);
	if (r == 0)
		r = set(task->remote, "PR_SET_THP_DISABLE", PR_SET_THP_DISABLE,
			rec->thp_disable & 1, rec->thp_disable & ~1u, err);
	if (r == 0 && rec->memory_merge)
		r = set(task->remote, "PR_SET_MEMORY_MERGE",
			PR_SET_MEMORY_MERGE, 1, 0, err);
	if (r == 0)
		r = set_membarrier(task->remote, rec->membarrier, err);
	return r < 0 ? r : set_xcomp(task->remote, rec->xcomp_perm, err);
}

static int set_personality(struct remote *remote, uint32_t value,
			   struct err *err)
{
	return remote_later(remote, "personality", REMOTE_ANY, err,
			    __NR_personality, value, 0, 0, 0, 0, 0);
}

/*
 * What would change the building itself: READ_IMPLIES_EXEC changes later
 * mappings, MDWE forbids them; any change of credentials resets dumpable.
 */
static int process_finish(struct restore_ctx *ctx, struct restore_task *task,
			  struct restore_thread *thread,
			  const ProtobufCMessage *msg, struct err *err)
{
	const ProcessRecord *rec = (const ProcessRecord *)msg;
	int r = 0;

	if (rec->mdwe)
		r = set(task->remote, "PR_SET_MDWE", PR_SET_MDWE, rec->mdwe, 0,
			err);
	if (r == 0)
		r = set(task->remote, "PR_SET_CHILD_SUBREAPER",
			PR_SET_CHILD_SUBREAPER, rec->child_subreaper, 0, err);
	if (r == 0)
		r = set_personality(task->remote, rec->personality, err);
	/* 2 (readable by root alone) cannot be set; 0 is the same for all
	 * but core dumps. */
	if (r == 0)
		r = set(task->remote, "PR_SET_DUMPABLE", PR_SET_DUMPABLE,
			rec->dumpable == 1, 0, err);
	return r;
}

static const struct remote_ask asks[] = {
	{ "modify_ldt", __NR_modify_ldt, 1, { 0 } },
	{ "prctl", __NR_prctl, 6, { PR_GET_DUMPABLE } },
	{ "prctl", __NR_prctl, 1, { PR_GET_CHILD_SUBREAPER } },
	{ "prctl", __NR_prctl, 6, { PR_GET_THP_DISABLE } },
	{ "prctl", __NR_prctl, 6, { PR_GET_MDWE } },
	{ "prctl", __NR_prctl, 6, { PR_GET_MEMORY_MERGE } },
	{ "membarrier", __NR_membarrier, 6, { MEMBARRIER_GET_REGISTRATIONS } },
	{ "membarrier",
	  __NR_membarrier,
	  6,
	  { MEMBARRIER_CMD_PRIVATE_EXPEDITED } },
	{ "membarrier",
	  __NR_membarrier,
	  6,
	  { MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE } },
	{ "membarrier",
	  __NR_membarrier,
	  6,
	  { MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ } },
	{ "arch_prctl", __NR_arch_prctl, 1, { ARCH_GET_XCOMP_PERM } },
	{ 0 },
};

const struct resource_ops res_process = {
	.name = "process attributes",
	.saved = "personality, dumpable, subreaper, THP, MDWE, KSM, OOM score, "
		 "core dump filter, membarrier, AMX permission",
	.refused = "32-bit programs, shadow stacks, segments, debuggers",
	.changes = "before Linux 6.3 each is registered for barriers of others",
	.tag = TAG_PROCESS,
	.scope = SCOPE_TASK,
	.stage = STAGE_EARLY,
	.check_task = process_check,
	.dump_task = process_dump,
	.asks = asks,
	.restore = process_restore,
	.stage2 = STAGE_LAST,
	.restore2 = process_finish,
};
