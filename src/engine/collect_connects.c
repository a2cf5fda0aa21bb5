// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/collect.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>

#include "repair/stream.h"
#include "util/cleanup.h"

static bool is_connected(const struct collection *c, uint32_t object)
{
	auto_close int fd = -EBADF;
	struct err ignored; /* it is no TCP socket */
	uint8_t state;

	return collection_open_object(c, object, &fd, &ignored) == 0 &&
	       stream_state(fd, &state, &ignored) == 0 && state != TCP_CLOSE &&
	       state != TCP_LISTEN;
}

static void settle(struct frozen_thread *th, pid_t ns_pid,
		   const struct collection *c)
{
	struct user_regs_struct regs = th->regs_resume;
	uint32_t object;

	syscall_mend(&regs);
	if (!syscall_interrupted(&regs) || (long)regs.orig_rax != SYS_connect)
		return;
	object = collection_fd_object(c, ns_pid, (int)regs.rdi);
	if (!object || !is_connected(c, object))
		return;
	syscall_returns(&regs, 0);
	th->regs_image = regs;
}

void collect_connects(struct frozen_tree *tree, const struct collection *c)
{
	for (size_t i = 0; i < tree->ntasks; i++)
		for (size_t k = 0; k < tree->tasks[i].nthreads; k++)
			settle(&tree->tasks[i].threads[k],
			       c->tasks[i].view.ns_pid, c);
}
