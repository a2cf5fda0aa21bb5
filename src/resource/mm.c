// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel remembers about the layout of an address space: where
 * code, heap, arguments and environment are, the auxiliary vector and the
 * executable.  All is given back in one call, once the old executable is no
 * longer mapped.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/limits.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

#define PAGE           4096ull
#define AUXV_MAX_WORDS 128
#define KEYS           16
#define CPUID_OSPKE    (1u << 4)
/* Room that no stack grows into while a page is looked at. */
#define GAP    (64ull << 20)
#define LOWEST (4ull << 30)

static int read_auxv(int proc_fd, uint64_t **ret, size_t *ret_words,
		     struct err *err)
{
	auto_free char *data = NULL;
	size_t len;
	int r;

	r = read_file_at(proc_fd, "auxv", AUXV_MAX_WORDS * 8, &data, &len, err);
	if (r < 0)
		return r;
	if (len == 0 || len % 16)
		return err_set(err, -EIO, "auxv of %zu bytes", len);
	*ret_words = len / 8;
	*ret = (uint64_t *)take_ptr(data);
	return 0;
}

/*
 * Keys without memory show nowhere.  Protecting what is not there fails with
 * one code when there is such a key, and with another when there is none.
 */
static int refuse_keys(struct remote *remote, struct err *err)
{
	unsigned int eax, ebx, ecx = 0, edx;
	int64_t value;
	int r;

	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) ||
	    !(ecx & CPUID_OSPKE))
		return 0;
	for (uint64_t key = 1; key < KEYS; key++) {
		const uint64_t args[6] = { 0, PAGE, PROT_NONE, key };

		r = remote_syscall(remote, __NR_pkey_mprotect, args, &value,
				   err);
		if (r < 0)
			return r;
		if (value == -ENOMEM)
			return err_set(err, -ENOTSUP,
				       "it has a protection key (pkey_alloc), "
				       "which is not saved: run it without");
	}
	return 0;
}

/* A place where nothing is, nor comes soon; 0: none. */
static uint64_t find_gap(const struct vma_list *vmas)
{
	uint64_t at = LOWEST;

	for (size_t i = 0; i < vmas->count; i++) {
		if (vmas->v[i].end <= at)
			continue;
		if (vmas->v[i].start >= at + 2 * GAP)
			return at + GAP;
		at = vmas->v[i].end;
	}
	return 0;
}

struct look {
	int proc_fd;
	uint64_t addr, before;
	uint32_t flags;
};

/* Locked memory is there at once, unless it is to be locked on fault. */
static int look_at_page(void *arg, struct err *err)
{
	struct look *look = arg;
	uint64_t after, entry = 0;
	auto_close int fd = -EBADF;
	int r;

	r = limits_locked(look->proc_fd, &after, err);
	if (r < 0 || after == look->before)
		return r;
	fd = openat(look->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0 ||
	    pread(fd, &entry, sizeof(entry),
		  (off_t)(look->addr / PAGE * sizeof(entry))) != sizeof(entry))
		return err_sys(err, "pagemap");
	look->flags = MCL_FUTURE | (entry >> 63 ? 0 : MCL_ONFAULT);
	return 0;
}

/* Whether memory to come is locked shows in nothing but such memory. */
static int read_lock_future(const struct task_view *task, uint32_t *ret,
			    struct err *err)
{
	struct look look = { .proc_fd = task->proc_fd,
			     .addr = find_gap(task->vmas) };
	int64_t mapped;
	int r;

	if (!look.addr)
		return err_set(err, -ENOTSUP, "no gap between its mappings");
	r = limits_locked(task->proc_fd, &look.before, err);
	if (r == 0)
		r = remote_passing_page(task->remote, look.addr, look_at_page,
					&look, &mapped, err);
	if (r < 0)
		return err_wrap(err, r, "mlockall");
	if (mapped == -ENOMEM || mapped == -EAGAIN)
		return err_set(err, -ENOTSUP,
			       "there is no room for one more page, and "
			       "without one mlockall(MCL_FUTURE) does not "
			       "show: raise vm.max_map_count, or give jobcrd "
			       "CAP_SYS_RESOURCE");
	if (mapped < 0)
		return err_num(err, (int)mapped, "page to look for mlockall");
	*ret = look.flags;
	return 0;
}

static int mm_dump(const struct dump_ctx *ctx, const struct task_view *task,
		   struct err *err)
{
	MmRecord rec = MM_RECORD__INIT;
	const struct proc_stat *st = task->stat;
	auto_free uint64_t *auxv = NULL;
	int64_t brk;
	int r;

	r = remote_call(task->remote, "brk", &brk, err, __NR_brk, 0, 0, 0, 0, 0,
			0);
	if (r < 0)
		return r;
	r = read_auxv(task->proc_fd, &auxv, &rec.n_auxv, err);
	if (r == 0)
		r = refuse_keys(task->remote, err);
	if (r == 0)
		r = read_lock_future(task, &rec.lock_future, err);
	if (r < 0)
		return r;
	rec.has_lock_future = rec.lock_future != 0;
	rec.pid = task->ns_pid;
	rec.start_code = st->start_code;
	rec.end_code = st->end_code;
	rec.start_data = st->start_data;
	rec.end_data = st->end_data;
	rec.start_brk = st->start_brk;
	rec.brk = (uint64_t)brk;
	rec.start_stack = st->start_stack;
	rec.arg_start = st->arg_start;
	rec.arg_end = st->arg_end;
	rec.env_start = st->env_start;
	rec.env_end = st->env_end;
	rec.auxv = auxv;
	rec.exe_object = task->exe_object;
	return img_put(ctx->out, TAG_MM, &rec.base, err);
}

/* One call sets all fields, so that each is checked against the others. */
static int set_mm(struct remote *remote, const MmRecord *rec, int exe_fd,
		  struct err *err)
{
	uint64_t at = remote_buffer(remote);
	struct prctl_mm_map map = {
		.start_code = rec->start_code,
		.end_code = rec->end_code,
		.start_data = rec->start_data,
		.end_data = rec->end_data,
		.start_brk = rec->start_brk,
		.brk = rec->brk,
		.start_stack = rec->start_stack,
		.arg_start = rec->arg_start,
		.arg_end = rec->arg_end,
		.env_start = rec->env_start,
		.env_end = rec->env_end,
		.auxv = (__u64 *)(at + sizeof(map)),
		.auxv_size = (__u32)(rec->n_auxv * sizeof(uint64_t)),
		.exe_fd = (__u32)exe_fd,
	};
	int64_t value;
	int r;

	r = remote_write(remote, at, &map, sizeof(map), err);
	if (r < 0)
		return r;
	r = remote_write(remote, at + sizeof(map), rec->auxv, map.auxv_size,
			 err);
	if (r < 0)
		return r;
	return remote_call(remote, "PR_SET_MM_MAP", &value, err, __NR_prctl,
			   PR_SET_MM, PR_SET_MM_MAP, at, sizeof(map), 0, 0);
}

static int mm_restore(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err)
{
	const MmRecord *rec = (const MmRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	int exe_fd, r;

	(void)thread;
	if (rec->n_auxv > AUXV_MAX_WORDS)
		return err_set(err, -EBADMSG, "auxiliary vector too long");
	r = e->lend_fd(e->arg, task, rec->exe_object, &exe_fd, err);
	return r < 0 ? err_wrap(err, r, "executable")
		     : set_mm(task->remote, rec, exe_fd, err);
}

/* When nothing more is mapped. */
static int mm_finish(struct restore_ctx *ctx, struct restore_task *task,
		     struct restore_thread *thread, const ProtobufCMessage *msg,
		     struct err *err)
{
	const MmRecord *rec = (const MmRecord *)msg;
	int64_t value;

	(void)ctx;
	(void)thread;
	if (!rec->lock_future)
		return 0;
	if ((rec->lock_future & ~(uint32_t)MCL_ONFAULT) != MCL_FUTURE)
		return err_set(err, -EBADMSG, "bad lock of future memory");
	return remote_call(task->remote, "mlockall", &value, err, __NR_mlockall,
			   rec->lock_future, 0, 0, 0, 0, 0);
}

static const struct remote_ask asks[] = {
	{ "brk", __NR_brk, 6, { 0 } },
	{ "pkey_mprotect", __NR_pkey_mprotect, 3, { 0, PAGE, PROT_NONE } },
	{ "mmap", __NR_mmap, 0, { 0 } },
	{ "munmap", __NR_munmap, 0, { 0 }, .must = true },
	{ 0 },
};

const struct resource_ops res_mm = {
	.name = "mm",
	.saved = "layout, auxiliary vector, executable, locks to come",
	.tag = TAG_MM,
	.scope = SCOPE_TASK,
	.stage = STAGE_MAPPED,
	.dump_task = mm_dump,
	.asks = asks,
	.restore = mm_restore,
	.stage2 = STAGE_SIGNALS,
	.restore2 = mm_finish,
};
