// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel remembers about the layout of an address space: where
 * code, heap, arguments and environment are, the auxiliary vector and the
 * executable.  All is given back in one call, once the old executable is no
 * longer mapped.
 */
#include <errno.h>
#include <linux/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

#define AUXV_MAX_WORDS 128

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
	if (r < 0)
		return r;
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
	int64_t value;
	int exe_fd, r;

	(void)thread;
	if (rec->n_auxv > AUXV_MAX_WORDS)
		return err_set(err, -EBADMSG, "auxiliary vector too long");
	r = e->push_fd(e->arg, task, rec->exe_object, &exe_fd, err);
	if (r < 0)
		return err_wrap(err, r, "executable");
	r = set_mm(task->remote, rec, exe_fd, err);
	if (r < 0)
		return r;
	return remote_call(task->remote, "close", &value, err, __NR_close,
			   (uint64_t)exe_fd, 0, 0, 0, 0, 0);
}

const struct resource_ops res_mm = {
	.name = "mm",
	.saved = "layout, auxiliary vector, executable",
	.tag = TAG_MM,
	.scope = SCOPE_TASK,
	.stage = STAGE_MAPPED,
	.dump_task = mm_dump,
	.restore = mm_restore,
};
