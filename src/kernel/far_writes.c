/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/far_writes.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/iterator.h"
#include "util/cleanup.h"

#define CONTEXT  "bpf_iter__task"
#define MOST     (1u << 22) /* as many as there can be threads */
#define SAVED_AT (-(int)sizeof(struct far_write)) /* from the frame */

#define PLACE(field) (SAVED_AT + (int)offsetof(struct far_write, field))

/* Newer than the headers of the distributions that jobcr builds on. */
#define GET_TASK_PT_REGS 175 /* BPF_FUNC_task_pt_regs */

/* Where each has what it writes to: the name of a member of pt_regs. */
static const struct {
	int call;
	const char *to;
} calls[] = {
	{ SYS_process_vm_writev, "di" }, { SYS_write, "di" },
	{ SYS_pwrite64, "di" },          { SYS_writev, "di" },
	{ SYS_pwritev, "di" },           { SYS_pwritev2, "di" },
	{ SYS_sendfile, "di" },          { SYS_splice, "dx" },
};

int far_write_is_vm(const struct far_write *w)
{
	return w->call == SYS_process_vm_writev;
}

/* REG_3 = what it is written to, if REG_2 is this call */
static void choose(struct program *p, int call, const char *to)
{
	program_put(p, BPF_JMP | BPF_JNE | BPF_K, REG_2, 0, 1, call);
	program_load(p, REG_3, REG_RESULT, "pt_regs", to, 8);
}

/*
 * The registers with which a thread has entered the kernel tell the call, for
 * as long as it is there; REG_3 is UINT64_MAX for all others.
 */
static void assemble(struct program *p)
{
	size_t none, other;

	program_load(p, REG_OBJECT, REG_CTX, CONTEXT, "task", 8);
	none = program_jump_if_zero(p, REG_OBJECT);
	program_put(p, BPF_ALU64 | BPF_MOV | BPF_X, REG_1, REG_OBJECT, 0, 0);
	program_call(p, GET_TASK_PT_REGS);
	program_load(p, REG_2, REG_RESULT, "pt_regs", "orig_ax", 8);
	program_save(p, REG_2, PLACE(call));
	program_put(p, BPF_ALU64 | BPF_MOV | BPF_K, REG_3, 0, 0, -1);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		choose(p, calls[i].call, calls[i].to);
	program_save(p, REG_3, PLACE(to));
	program_put(p, BPF_ALU64 | BPF_ADD | BPF_K, REG_3, 0, 0, 1);
	other = program_jump_if_zero(p, REG_3);
	program_save_tid(p, REG_OBJECT, PLACE(tid));
	program_write(p, CONTEXT, SAVED_AT, -SAVED_AT);
	program_land(p, other);
	program_land(p, none);
}

int far_writes_open(void)
{
	return iterator_open("bpf_iter_task", "jobcr_writes", assemble);
}

int far_writes_read(int iterator_fd, struct far_write **ret, size_t *count)
{
	auto_close int fd = iterator_run(iterator_fd, 0);
	struct iterator_records l = { .bytes = sizeof(**ret), .most = MOST };
	size_t more = 1;
	int r = fd < 0 ? fd : 0;

	while (r == 0 && more)
		r = iterator_read(fd, &l, &more);
	if (r < 0) {
		free(l.v);
		return r;
	}
	*ret = (struct far_write *)(void *)l.v;
	*count = l.count;
	return 0;
}
