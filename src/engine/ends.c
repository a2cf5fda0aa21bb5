/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/ends.h"

#include <sys/uio.h>

/* The kernel goes no further either (ROBUST_LIST_LIMIT). */
#define ROBUST_MAX 2048
#define ROBUST_PI  1ull

static bool peek(const struct thread_view *thread, uint64_t address, void *to,
		 size_t len)
{
	struct iovec here = { to, len };
	struct iovec there = { (void *)(uintptr_t)address, len };

	return process_vm_readv(thread->task->pid, &here, 1, &there, 1, 0) ==
	       (ssize_t)len;
}

static int note_word(struct pin *pin, const struct thread_view *thread,
		     uint64_t address, const char *what, struct err *err)
{
	const struct task_view *task = thread->task;
	const struct vma *vma = maps_find(task->vmas, address);

	if (!vma)
		return 0;
	if (vma->shared)
		pin_refuse(pin,
			   "thread %d of process %d has %s in shared "
			   "memory",
			   thread->ns_tid, task->ns_pid, what);
	return pin_add_word(pin, task->pid, task->proc_fd, address, err);
}

/* The list of robust mutexes is the program's own: it may be anything. */
static int note_robust(struct pin *pin, const struct thread_view *thread,
		       uint64_t head, struct err *err)
{
	struct {
		uint64_t next, offset, pending;
	} list;
	uint64_t at;
	int r = 0;

	if (!head || !peek(thread, head, &list, sizeof(list)))
		return 0;
	if (list.pending & ~ROBUST_PI)
		r = note_word(pin, thread,
			      (list.pending & ~ROBUST_PI) + list.offset,
			      "a robust mutex", err);
	at = list.next & ~ROBUST_PI;
	for (int n = 0; r == 0 && at != head && n < ROBUST_MAX; n++) {
		r = note_word(pin, thread, at + list.offset, "a robust mutex",
			      err);
		if (!peek(thread, at, &at, sizeof(at)))
			break;
		at &= ~ROBUST_PI;
	}
	return r;
}

int ends_note(struct pin *pin, const struct thread_view *thread,
	      uint64_t clear_child_tid, uint64_t robust_head, struct err *err)
{
	int r = note_word(pin, thread, clear_child_tid, "its clear_child_tid",
			  err);

	return r < 0 ? r : note_robust(pin, thread, robust_head, err);
}
