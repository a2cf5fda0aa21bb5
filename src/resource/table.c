// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>

#include "resource/resource.h"

/*
 * Order is dump order, and for open files the order in which they are asked
 * whether a description is theirs: the one that says no to all the rest comes
 * last.  Helper records are written by those who need them.
 */
const struct resource_ops *const resource_table[] = {
	/* open files */
	&res_eventfd,
	&res_timerfd,
	&res_signalfd,
	&res_pidfd,
	&res_dead_process,
	&res_inotify,
	&res_chardev,
	&res_shmem,
	&res_memfd,
	&res_epoll,
	&res_tty,
	&res_mqueue_fd,
	&res_unix,
	&res_unix_name,
	&res_unix_message,
	&res_pty,
	&res_pty_master,
	&res_pipe,
	&res_pipe_end,
	&res_tcp_connection,
	&res_tcp_data,
	&res_tcp,
	&res_udp,
	&res_directory,
	&res_private_dir,
	&res_private_entry,
	&res_ghost,
	&res_file,
	&res_unsupported,

	/* the tree */
	&res_sysv_shm,
	&res_sysv_sem,
	&res_sysv_msg,
	&res_sysv_messages,
	&res_mqueue,
	&res_mqueue_messages,

	/* one process */
	&res_process,
	&res_sysv_ipc,
	&res_sysv_undo,
	&res_fs,
	&res_rlimit,
	&res_terminal,
	&res_sigaction,
	&res_timer,
	&res_timer_overrun,
	&res_mm,
	&res_vma,
	&res_memory_policy,

	/* one thread */
	&res_regs,
	&res_thread,
	&res_sigqueue,
	&res_creds,
	&res_sched,
	&res_thread_policy,
	&res_landlock,
	&res_seccomp,

	NULL,
};

const struct resource_ops *resource_by_tag(uint32_t tag)
{
	for (size_t i = 0; resource_table[i]; i++)
		if (resource_table[i]->tag == tag)
			return resource_table[i];
	return NULL;
}
