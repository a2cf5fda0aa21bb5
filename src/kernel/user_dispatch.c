/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/user_dispatch.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "kernel/iterator.h"
#include "kernel/trial.h"
#include "util/cleanup.h"

/* Newer than the headers of the distributions that jobcr builds on. */
#define GET_DISPATCH      0x4211
#define SET_USER_DISPATCH 59 /* PR_SET_SYSCALL_USER_DISPATCH */
#define DISPATCH_OFF      0
#define DISPATCH_ON       1

#define CONTEXT  "bpf_iter__task"
#define BIT      "SYSCALL_WORK_BIT_SYSCALL_USER_DISPATCH"
#define MOST     (1u << 22) /* as many as there can be threads */
#define SAVED_AT (-(int)sizeof(struct dispatch_seen)) /* from the frame */

#define PLACE(field) (SAVED_AT + (int)offsetof(struct dispatch_seen, field))

static int ask(pid_t pid)
{
	uint64_t config[4];

	return ptrace((enum __ptrace_request)GET_DISPATCH, pid, sizeof(config),
		      config) < 0
		       ? errno
		       : 0;
}

int user_dispatch_by_ptrace(void)
{
	return trial_tracee(0, ask);
}

static void load_task(struct program *p, uint8_t to, const char *member)
{
	program_load(p, to, REG_OBJECT, "task_struct", member, 8);
}

static void save_task(struct program *p, const char *member, int at)
{
	load_task(p, REG_2, member);
	program_save(p, REG_2, at);
}

/* REG_2 = whether it is on */
static void load_switch(struct program *p)
{
	int32_t bit = 0;

	if (btf_enumerator(p->types, BIT, &bit) < 0 || bit < 0 || bit > 30)
		p->missing = -ENOENT;
	load_task(p, REG_2, "thread_info.syscall_work");
	program_put(p, BPF_ALU64 | BPF_AND | BPF_K, REG_2, 0, 0,
		    (int32_t)(1u << (bit & 31)));
}

/* Called for each thread, and once more with none. */
static void assemble(struct program *p)
{
	size_t none, off;

	program_load(p, REG_OBJECT, REG_CTX, CONTEXT, "task", 8);
	none = program_jump_if_zero(p, REG_OBJECT);
	load_switch(p);
	off = program_jump_if_zero(p, REG_2);
	save_task(p, "syscall_dispatch.offset", PLACE(offset));
	save_task(p, "syscall_dispatch.len", PLACE(len));
	save_task(p, "syscall_dispatch.selector", PLACE(selector));
	program_save_tid(p, REG_OBJECT, PLACE(tid));
	program_write(p, CONTEXT, SAVED_AT, -SAVED_AT);
	program_land(p, off);
	program_land(p, none);
}

int user_dispatch_read(int iterator_fd, struct dispatch_seen **ret,
		       size_t *count)
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
	*ret = (struct dispatch_seen *)(void *)l.v;
	*count = l.count;
	return 0;
}

/* NULL: not there. */
static const struct dispatch_seen *own(const struct dispatch_seen *v,
				       size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (v[i].tid == (uint64_t)gettid())
			return &v[i];
	return NULL;
}

/*
 * Is our own seen as it is?  The selector lets everything pass, so that no
 * call of ours is caught.
 */
static int study(int iterator_fd)
{
	static const uint64_t offset = 0x123456789000, len = 0x2345678000;
	static const char allow; /* SYSCALL_DISPATCH_FILTER_ALLOW */
	auto_free struct dispatch_seen *on = NULL, *off = NULL;
	const struct dispatch_seen *s;
	size_t non = 0, noff = 0;
	int r;

	if (prctl(SET_USER_DISPATCH, DISPATCH_ON, offset, len, &allow) < 0)
		return -errno;
	r = user_dispatch_read(iterator_fd, &on, &non);
	if (prctl(SET_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0) < 0)
		return -errno;
	if (r == 0)
		r = user_dispatch_read(iterator_fd, &off, &noff);
	if (r < 0)
		return r;
	s = own(on, non);
	return s && s->offset == offset && s->len == len &&
			       s->selector == (uintptr_t)&allow &&
			       !own(off, noff)
		       ? 0
		       : -ENOTSUP;
}

int user_dispatch_open(void)
{
	auto_close int fd =
		iterator_open("bpf_iter_task", "jobcr_dispatch", assemble);
	int r = fd < 0 ? fd : study(fd);

	return r < 0 ? r : take_fd(&fd);
}
