/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/ipc.h"
#include "kernel/maps.h"
#include "kernel/quick_maps.h"
#include "kernel/trial.h"
#include "kernel/user_dispatch.h"
#include "kernel/userfault.h"
#include "kernel/written.h"
#include "util/cleanup.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

#define PROBE_SECONDS 10
#define PAGE_BYTES    4096

/* Newer than the headers of the distributions that jobcr builds on. */
#define GET_RSEQ_CONFIGURATION   0x420f
#define SUSPEND_SECCOMP          (1ul << 21)
#define TIMER_CREATE_RESTORE_IDS 77
#define GUARD_INSTALL            102
#define GET_REGISTRATIONS        (1 << 9)
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

/* 0, or a positive errno: what a call left there. */
static int failed(long v)
{
	return v < 0 ? errno : 0;
}

static int ask_state(pid_t pid)
{
	struct __ptrace_peeksiginfo_args args = { .nr = 1 };
	uint64_t mask;
	char info[128];
	int e;

	e = failed(ptrace(PTRACE_GETSIGMASK, pid, sizeof(mask), &mask));
	return e ? e : failed(ptrace(PTRACE_PEEKSIGINFO, pid, &args, info));
}

static int ask_rseq(pid_t pid)
{
	uint64_t answer[4];

	return failed(ptrace((enum __ptrace_request)GET_RSEQ_CONFIGURATION, pid,
			     sizeof(answer), answer));
}

static int ask_nothing(pid_t pid)
{
	return 0;
}

static int probe_ptrace(void)
{
	return trial_tracee(PTRACE_O_TRACESYSGOOD, ask_state);
}

static int probe_rseq(void)
{
	return trial_tracee(0, ask_rseq);
}

static int probe_dispatch(void)
{
	int e = user_dispatch_by_ptrace();
	int fd = e ? user_dispatch_open() : 0;

	return fd < 0 ? -fd : 0;
}

static int probe_seccomp(void)
{
	return trial_tracee(SUSPEND_SECCOMP, ask_nothing);
}

static int probe_kcmp(void)
{
	pid_t self = getpid();

	return failed(syscall(SYS_kcmp, self, self, KCMP_FILE, 0, 0));
}

static int probe_kcmp_epoll(void)
{
	struct kcmp_epoll_slot slot = { 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = eventfd(0, EFD_CLOEXEC), ep = epoll_create1(EPOLL_CLOEXEC);
	pid_t self = getpid();

	if (fd < 0 || ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		return errno;
	slot.efd = (uint32_t)ep;
	slot.tfd = (uint32_t)fd;
	return failed(syscall(SYS_kcmp, self, self, KCMP_EPOLL_TFD, fd, &slot));
}

static int probe_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getppid(), 0);

	if (fd < 0)
		return errno;
	return failed(syscall(SYS_pidfd_getfd, fd, 0, 0)) == EBADF
		       ? 0
		       : failed(syscall(SYS_pidfd_getfd, fd, 2, 0));
}

static int probe_children(void)
{
	return failed(open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC));
}

static int probe_memory(void)
{
	pid_t pid = trial_child();
	uint64_t v = 0;
	struct iovec here = { &v, sizeof(v) }, there = { &here, sizeof(v) };
	int e;

	if (pid < 0)
		return errno;
	e = failed(process_vm_readv(pid, &here, 1, &there, 1, 0));
	e = e ? e : failed(process_vm_writev(pid, &here, 1, &there, 1, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return e;
}

static int probe_pagemap(bool guard)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char *p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct page_run run = { 0 };
	struct err err;
	uint64_t next;
	size_t n = 0;
	int r;

	if (fd < 0 || p == MAP_FAILED)
		return errno;
	*p = 1;
	if (guard && madvise(p, PAGE_BYTES, GUARD_INSTALL) < 0)
		return errno;
	r = pagemap_scan(fd, PAGES_OWN, (uint64_t)p, (uint64_t)p + PAGE_BYTES,
			 &run, 1, &n, &next, &err);
	if (r < 0)
		return -r;
	return n == 1 && run.guard == guard ? 0 : ENODATA;
}

static int probe_pages(void)
{
	return probe_pagemap(false);
}

static int probe_search(void)
{
	return pagemap_finds() ? 0 : ENOTTY;
}

static int probe_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	char path[64], text[512] = "";
	ssize_t n;

	if (fd < 0)
		return errno;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return errno;
	return strstr(text, "eventfd-semaphore:") ? 0 : ENODATA;
}

static int probe_barriers(void)
{
	return failed(syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0));
}

static int probe_guard(void)
{
	return probe_pagemap(true);
}

static int probe_map_files(void)
{
	char path[128];
	unsigned long start = 0, end = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	if (!f || fscanf(f, "%lx-%lx", &start, &end) != 2)
		return EIO;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", start,
		 end);
	return failed(open(path, O_RDONLY | O_CLOEXEC));
}

static int exit_code(pid_t pid)
{
	int status;

	if (pid < 0)
		return errno;
	if (waitpid(pid, &status, __WALL) < 0)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* Pid 1 of a namespace of its own gives a child the pid that it wants. */
static int probe_pids(void)
{
	pid_t want = 4321;
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = (uint64_t)(uintptr_t)&want,
				   .set_tid_size = 1 };
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL,
				   NULL, NULL, NULL);

	if (pid)
		return exit_code(pid);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		_exit(errno);
	_exit(pid == want ? exit_code(pid) : EIO);
}

static int probe_mounts(void)
{
	return failed(unshare(CLONE_NEWNS));
}

static int probe_ipc(void)
{
	return failed(unshare(CLONE_NEWIPC));
}

/* A queue with a number of ours, from which nothing is taken. */
static int probe_ipc_ids(void)
{
	struct err ignored;
	char message[16];
	int id;

	if (unshare(CLONE_NEWIPC) < 0)
		return errno;
	if (ipc_set_next_id(IPC_MSG, 4321, &ignored) < 0)
		return -ignored.code;
	id = msgget(IPC_PRIVATE, 0600);
	if (id != 4321)
		return id < 0 ? errno : EIO;
	if (msgrcv(id, message, 8, 0, MSG_COPY | IPC_NOWAIT) >= 0)
		return EIO;
	return errno == ENOMSG ? 0 : errno;
}

static int probe_time(void)
{
	static const char offset[] = "monotonic 1000 0\n";
	int fd;

	if (unshare(CLONE_NEWTIME) < 0)
		return errno;
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	return fd < 0 ? errno : failed(write(fd, offset, strlen(offset)));
}

static int probe_mm_map(void)
{
	unsigned int size = 0;

	return failed(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
}

static int probe_tid_address(void)
{
	int *address = NULL;

	return failed(prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0));
}

static int probe_vdso(void)
{
	struct vma_list vmas;
	struct err err;
	int proc_fd = open("/proc/self", O_RDONLY | O_CLOEXEC);
	int e = ENODATA;

	if (proc_fd < 0 || maps_read_fast(proc_fd, &vmas, &err) < 0)
		return EIO;
	for (size_t i = 0; i < vmas.count; i++) {
		const struct vma *v = &vmas.v[i];
		size_t len = v->end - v->start;
		void *to;

		if (strcmp(v->path, "[vdso]"))
			continue;
		to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
		/* Only raw calls from here on: libc would use the old one. */
		e = syscall(SYS_mremap, v->start, len, len,
			    MREMAP_MAYMOVE | MREMAP_FIXED, to) < 0
			    ? errno
			    : 0;
	}
	return e;
}

static int probe_timer_ids(void)
{
	return failed(prctl(TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0));
}

static int probe_ticks(void)
{
	uint64_t ticks = 1;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	return fd < 0 ? errno
		      : failed(ioctl(fd, _IOW('T', 0, uint64_t), &ticks));
}

static int probe_uring(void)
{
	uint8_t params[120] = { 0 };

	return failed(syscall(SYS_io_uring_setup, 4, params));
}

/* With faults of the kernel, which not everybody may have. */
static int probe_hold(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	return fd < 0 ? errno : failed(ioctl(fd, UFFDIO_API, &api));
}

static int probe_written(void)
{
	return written_supported() ? 0 : ENOSYS;
}

static int probe_quick_look(void)
{
	struct quick_maps *q = NULL;
	struct err err = { 0 };
	int r = quick_maps_new(&q, &err);

	quick_maps_free(q);
	return -r;
}

#define KERNEL_OPTION(o) "a kernel built with " o
#define RIGHTS                                                                 \
	"root with CAP_SYS_ADMIN, CAP_SYS_PTRACE and "                         \
	"CAP_CHECKPOINT_RESTORE"

static const struct {
	struct feature feature;
	int (*probe)(void);
} probes[] = {
	{ { "ptrace", "stops threads and asks them",
	    RIGHTS "; kernel.yama.ptrace_scope below 3", true },
	  probe_ptrace },
	{ { "ptrace-rseq", "saves restartable sequences of threads",
	    "Linux 5.13 with CONFIG_RSEQ", true },
	  probe_rseq },
	{ { "ptrace-seccomp", "checkpoints processes with seccomp filters",
	    KERNEL_OPTION("CONFIG_CHECKPOINT_RESTORE") " and " RIGHTS, false },
	  probe_seccomp },
	{ { "user-dispatch",
	    "sees syscall user dispatch (else processes that handle SIGSYS are "
	    "refused)",
	    "Linux 6.4, or CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF, "
	    "and " RIGHTS,
	    false },
	  probe_dispatch },
	{ { "ipc-namespaces", "gives a job IPC objects of its own",
	    KERNEL_OPTION("CONFIG_IPC_NS") " and " RIGHTS, true },
	  probe_ipc },
	{ { "ipc-ids", "saves System V IPC",
	    KERNEL_OPTION(
		    "CONFIG_SYSVIPC, CONFIG_CHECKPOINT_RESTORE") " and " RIGHTS,
	    false },
	  probe_ipc_ids },
	{ { "kcmp", "finds descriptors and memory that are shared",
	    KERNEL_OPTION("CONFIG_KCMP or CONFIG_CHECKPOINT_RESTORE"), true },
	  probe_kcmp },
	{ { "kcmp-epoll", "saves epoll descriptors",
	    KERNEL_OPTION("CONFIG_KCMP or CONFIG_CHECKPOINT_RESTORE"), true },
	  probe_kcmp_epoll },
	{ { "pidfd", "reaches descriptors of the job", "Linux 5.6 and " RIGHTS,
	    true },
	  probe_pidfd },
	{ { "children", "finds all processes of a job",
	    KERNEL_OPTION("CONFIG_PROC_CHILDREN"), true },
	  probe_children },
	{ { "cross-memory", "reads and writes memory of the job",
	    KERNEL_OPTION("CONFIG_CROSS_MEMORY_ATTACH"), true },
	  probe_memory },
	{ { "pagemap", "finds pages with contents",
	    KERNEL_OPTION("CONFIG_PROC_PAGE_MONITOR"), true },
	  probe_pages },
	{ { "page-search",
	    "finds pages of what is large and mostly empty (else jobs that "
	    "reserve much are refused)",
	    "Linux 6.7", false },
	  probe_search },
	{ { "guard-pages", "keeps guard regions (else such jobs are refused)",
	    "Linux 6.15", false },
	  probe_guard },
	{ { "map-files", "reaches mapped files that have no name any more",
	    RIGHTS, true },
	  probe_map_files },
	{ { "pid-namespaces", "gives restored processes their old pids",
	    "Linux 5.5 with CONFIG_PID_NS, and " RIGHTS, true },
	  probe_pids },
	{ { "mount-namespaces", "gives jobs their own /proc", RIGHTS, true },
	  probe_mounts },
	{ { "time-namespaces", "lets monotonic clocks go on after a restore",
	    "Linux 5.6 with CONFIG_TIME_NS, and " RIGHTS, true },
	  probe_time },
	{ { "mm-map", "gives restored processes their memory layout",
	    KERNEL_OPTION("CONFIG_CHECKPOINT_RESTORE"), true },
	  probe_mm_map },
	{ { "tid-address", "saves what joins of threads wait for",
	    KERNEL_OPTION("CONFIG_CHECKPOINT_RESTORE"), true },
	  probe_tid_address },
	{ { "vdso-move", "puts the vDSO where the job had it",
	    "a kernel without sealed system mappings "
	    "(CONFIG_MSEAL_SYSTEM_MAPPINGS)",
	    true },
	  probe_vdso },
	{ { "timer-ids",
	    "gives timers their old numbers at once (else by "
	    "trying)",
	    "Linux 6.16", false },
	  probe_timer_ids },
	{ { "timerfd-ticks", "keeps expirations of timer descriptors",
	    KERNEL_OPTION("CONFIG_CHECKPOINT_RESTORE"), true },
	  probe_ticks },
	{ { "userfaultfd",
	    "lets the memory of a preempted job outlive it (PauseMode pin; "
	    "else a job has to last until all is copied)",
	    KERNEL_OPTION("CONFIG_USERFAULTFD") " and " RIGHTS, false },
	  probe_hold },
	{ { "written-pages",
	    "saves what a job has written since the last snapshot "
	    "(Incremental; "
	    "else all of its memory each time)",
	    "Linux 6.7 with CONFIG_USERFAULTFD and CONFIG_PROC_PAGE_MONITOR",
	    false },
	  probe_written },
	{ { "eventfd-mode",
	    "sees which eventfds are semaphores (else by reading them)",
	    "Linux 6.5", false },
	  probe_eventfd },
	{ { "membarrier",
	    "sees who has registered for barriers (else by trying)",
	    "Linux 6.3", false },
	  probe_barriers },
	{ { "quick-look",
	    "looks at a job's mappings without a walk through its page tables "
	    "(else a job with much memory stands still for longer)",
	    "Linux 6.7 with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF, "
	    "and " RIGHTS,
	    false },
	  probe_quick_look },
	{ { "io-uring", "writes and reads snapshots",
	    "sysctl kernel.io_uring_disabled=0 or 1", true },
	  probe_uring },
};

/* A child of its own: whatever the probe does to itself goes with it. */
static int run_probe(int (*probe)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(PROBE_SECONDS);
		_exit(probe());
	}
	return exit_code(pid);
}

int features_probe(struct feature_result **ret, size_t *ret_count,
		   struct err *err)
{
	struct feature_result *list = calloc(ARRAY_SIZE(probes), sizeof(*list));

	if (!list)
		return err_num(err, ENOMEM, "probe of features");
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		list[i].feature = probes[i].feature;
		list[i].error = run_probe(probes[i].probe);
	}
	*ret = list;
	*ret_count = ARRAY_SIZE(probes);
	return 0;
}
