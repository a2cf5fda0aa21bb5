/* SPDX-License-Identifier: MIT */
#ifndef JOBCR_IMAGES_TAGS_H
#define JOBCR_IMAGES_TAGS_H

/*
 * Tags of records.  A number is never reused.  A reader that does not know a
 * tag refuses the image, unless TAG_OPTIONAL is set in it.
 */
#define TAG_OPTIONAL 0x80000000u

#define TAG_MANIFEST       0x0001u
#define TAG_SEAL           0x0002u
#define TAG_PART           0x0010u
#define TAG_PART_END       0x0011u
#define TAG_OUTPUT         (TAG_OPTIONAL | 0x0012u)
#define TAG_TASK           0x0100u
#define TAG_SIGACTION      0x0110u
#define TAG_SIGQUEUE       0x0111u
#define TAG_TIMER          0x0112u
#define TAG_TIMER_OVERRUN  0x0113u
#define TAG_PROCESS        0x0120u
#define TAG_RLIMIT         0x0121u
#define TAG_FS             0x0122u
#define TAG_TERMINAL       0x0123u
#define TAG_MM             0x0130u
#define TAG_VMA            0x0131u
#define TAG_SHMEM          0x0132u
#define TAG_MEMORY_POLICY  0x0133u
#define TAG_SYSV_SHM       0x0134u
#define TAG_PAGES          0x0140u
#define TAG_COW            0x0141u
#define TAG_BLOCKS         0x0142u
#define TAG_SYSV_SEM       0x0150u
#define TAG_SYSV_UNDO      0x0151u
#define TAG_SYSV_MSG       0x0152u
#define TAG_SYSV_MESSAGES  0x0153u
#define TAG_MQUEUE         0x0154u
#define TAG_MQUEUE_MESSAGES 0x0155u
#define TAG_REGS           0x0200u
#define TAG_THREAD         0x0201u
#define TAG_SCHED          0x0202u
#define TAG_CREDS          0x0203u
#define TAG_THREAD_POLICY  0x0204u
#define TAG_SECCOMP        0x0205u
#define TAG_FD             0x0300u
#define TAG_FILE           0x0301u
#define TAG_GHOST          0x0302u
#define TAG_PIPE           0x0303u
#define TAG_PIPE_END       0x0304u
#define TAG_CHARDEV        0x0305u
#define TAG_EVENTFD        0x0306u
#define TAG_TIMERFD        0x0307u
#define TAG_SIGNALFD       0x0308u
#define TAG_EPOLL          0x0309u
#define TAG_MEMFD          0x030au
#define TAG_TCP_CONNECTION 0x030bu
#define TAG_TCP_DATA       0x030cu
#define TAG_TCP            0x030du
#define TAG_UDP            0x030eu
#define TAG_MQUEUE_FD      0x0310u
#define TAG_DIRECTORY      0x0311u
#define TAG_PRIVATE_DIR    0x0312u
#define TAG_PRIVATE_ENTRY  0x0313u
#define TAG_TTY            0x0320u
#define TAG_PTY            0x0321u
#define TAG_PTY_MASTER     0x0322u
#define TAG_PIDFD          0x0330u
#define TAG_DEAD_PROCESS   0x0331u
#define TAG_INOTIFY        0x0332u
#define TAG_UNIX_SOCKET    0x0340u
#define TAG_UNIX_MESSAGE   0x0341u
#define TAG_UNIX_NAME      0x0342u

#endif
