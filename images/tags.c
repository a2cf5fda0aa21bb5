/* SPDX-License-Identifier: MIT */
#include "images/tags.h"

#include "images/files.pb-c.h"
#include "images/ipc.pb-c.h"
#include "images/manifest.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/part.pb-c.h"
#include "images/process.pb-c.h"
#include "images/record.h"
#include "images/signal.pb-c.h"
#include "images/task.pb-c.h"
#include "images/thread.pb-c.h"
#include "images/unix.pb-c.h"

static const struct {
	uint32_t tag;
	const ProtobufCMessageDescriptor *type;
} tag_types[] = {
	{ TAG_MANIFEST, &manifest_record__descriptor },
	{ TAG_SEAL, &seal_record__descriptor },
	{ TAG_PART, &part_record__descriptor },
	{ TAG_PART_END, &part_end_record__descriptor },
	{ TAG_OUTPUT, &output_record__descriptor },
	{ TAG_TASK, &task_record__descriptor },
	{ TAG_SIGACTION, &sigaction_record__descriptor },
	{ TAG_SIGQUEUE, &sigqueue_record__descriptor },
	{ TAG_TIMER, &timer_record__descriptor },
	{ TAG_TIMER_OVERRUN, &timer_overrun_record__descriptor },
	{ TAG_PROCESS, &process_record__descriptor },
	{ TAG_RLIMIT, &rlimit_record__descriptor },
	{ TAG_FS, &fs_record__descriptor },
	{ TAG_TERMINAL, &terminal_record__descriptor },
	{ TAG_MM, &mm_record__descriptor },
	{ TAG_VMA, &vma_record__descriptor },
	{ TAG_SHMEM, &shmem_record__descriptor },
	{ TAG_MEMORY_POLICY, &memory_policy_record__descriptor },
	{ TAG_PAGES, &pages_record__descriptor },
	{ TAG_COW, &cow_record__descriptor },
	{ TAG_BLOCKS, &blocks_record__descriptor },
	{ TAG_SYSV_SHM, &sysv_shm_record__descriptor },
	{ TAG_SYSV_SEM, &sysv_sem_record__descriptor },
	{ TAG_SYSV_UNDO, &sysv_undo_record__descriptor },
	{ TAG_SYSV_MSG, &sysv_msg_record__descriptor },
	{ TAG_SYSV_MESSAGES, &sysv_messages_record__descriptor },
	{ TAG_MQUEUE, &mqueue_record__descriptor },
	{ TAG_MQUEUE_MESSAGES, &mqueue_messages_record__descriptor },
	{ TAG_MQUEUE_FD, &mqueue_fd_record__descriptor },
	{ TAG_REGS, &regs_record__descriptor },
	{ TAG_THREAD, &thread_record__descriptor },
	{ TAG_SCHED, &sched_record__descriptor },
	{ TAG_CREDS, &creds_record__descriptor },
	{ TAG_THREAD_POLICY, &thread_policy_record__descriptor },
	{ TAG_SECCOMP, &seccomp_record__descriptor },
	{ TAG_FD, &fd_record__descriptor },
	{ TAG_FILE, &file_record__descriptor },
	{ TAG_GHOST, &ghost_record__descriptor },
	{ TAG_PIPE, &pipe_record__descriptor },
	{ TAG_PIPE_END, &pipe_end_record__descriptor },
	{ TAG_CHARDEV, &chardev_record__descriptor },
	{ TAG_EVENTFD, &eventfd_record__descriptor },
	{ TAG_TIMERFD, &timerfd_record__descriptor },
	{ TAG_SIGNALFD, &signalfd_record__descriptor },
	{ TAG_EPOLL, &epoll_record__descriptor },
	{ TAG_MEMFD, &memfd_record__descriptor },
	{ TAG_TCP_CONNECTION, &tcp_connection_record__descriptor },
	{ TAG_TCP_DATA, &tcp_data_record__descriptor },
	{ TAG_TCP, &tcp_record__descriptor },
	{ TAG_UDP, &udp_record__descriptor },
	{ TAG_DIRECTORY, &directory_record__descriptor },
	{ TAG_PRIVATE_DIR, &private_dir_record__descriptor },
	{ TAG_PRIVATE_ENTRY, &private_entry_record__descriptor },
	{ TAG_TTY, &tty_record__descriptor },
	{ TAG_PTY, &pty_record__descriptor },
	{ TAG_PTY_MASTER, &pty_master_record__descriptor },
	{ TAG_PIDFD, &pidfd_record__descriptor },
	{ TAG_DEAD_PROCESS, &dead_process_record__descriptor },
	{ TAG_INOTIFY, &inotify_record__descriptor },
	{ TAG_UNIX_SOCKET, &unix_socket_record__descriptor },
	{ TAG_UNIX_MESSAGE, &unix_message_record__descriptor },
	{ TAG_UNIX_NAME, &unix_name_record__descriptor },
};

const ProtobufCMessageDescriptor *img_tag_type(uint32_t tag)
{
	size_t i;

	for (i = 0; i < sizeof(tag_types) / sizeof(tag_types[0]); i++)
		if (tag_types[i].tag == tag)
			return tag_types[i].type;
	return NULL;
}

uint32_t img_tag_at(size_t i)
{
	return i < sizeof(tag_types) / sizeof(tag_types[0]) ? tag_types[i].tag
							    : 0;
}

const char *img_tag_name(uint32_t tag)
{
	const ProtobufCMessageDescriptor *type = img_tag_type(tag);

	return type ? type->name : NULL;
}
