/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_PROC_H
#define JOBCR_KERNEL_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Read-only views of /proc.  A job can write some of this text (comm, link
 * names): it is parsed as hostile input.  All paths are relative to an open
 * /proc/PID directory, so a reused pid is an error, never another process.
 */

/* Open /proc/PID (or /proc/PID/task/TID with tid > 0). */
int proc_open(pid_t pid, pid_t tid, int *ret_fd, struct err *err);

struct proc_stat { /* /proc/PID/stat */
	pid_t pid, ppid, pgid, sid;
	char state;
	char comm[64];
	uint32_t flags, tty_nr, exit_signal;
	uint64_t start_time;
	uint64_t start_code, end_code, start_stack;
	uint64_t start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint32_t exit_status;
};
int proc_read_stat(int proc_fd, struct proc_stat *ret, struct err *err);

/* What a thread itself asked for by PR_SET_SPECULATION_CTRL. */
enum speculation { SPECULATION_FREE, SPECULATION_OFF, SPECULATION_FORCED_OFF };

struct proc_status { /* /proc/PID/status */
	pid_t tgid, tracer;
	pid_t ns_tgid, ns_pid, ns_pgid, ns_sid; /* innermost */
	unsigned int ns_levels;    /* pid namespaces from the reader's down */
	uint32_t uids[4], gids[4]; /* real, effective, saved, fs */
	uint32_t *groups;          /* owned: proc_status_done */
	size_t ngroups;
	uint32_t umask;
	uint32_t threads;
	uint64_t sig_pending, shared_pending, sig_blocked, sig_ignored,
		sig_caught;
	uint64_t caps[5]; /* Inh Prm Eff Bnd Amb */
	uint32_t no_new_privs, seccomp;
	uint32_t seccomp_filters; /* 0 before Linux 5.9 */
	uint64_t vm_swap_kb, vm_rss_kb;
	bool shadow_stack; /* x86_Thread_features: shstk */
	bool kernel_thread;
	bool thp_disabled; /* THP_enabled: 0 */
	enum speculation spec_store_bypass, spec_indirect_branch;
};
int proc_read_status(int proc_fd, struct proc_status *ret, struct err *err);
void proc_status_done(struct proc_status *st);

/* Direct children of one thread: children file of a task directory. */
int proc_read_children(int task_fd, pid_t **ret, size_t *ret_count,
		       struct err *err);

/* Thread ids of a process, ascending: its task directory. */
int proc_read_threads(int proc_fd, pid_t **ret, size_t *ret_count,
		      struct err *err);

/* Descriptor numbers of a process, ascending: its fd directory. */
int proc_read_fds(int proc_fd, int **ret, size_t *ret_count, struct err *err);

/* readlinkat into a string owned by the caller (may contain anything). */
int proc_read_link(int proc_fd, const char *name, char **ret, struct err *err);

/*
 * stat of what a link such as exe, cwd or fd/N leads to.  -ENOTSUP: the file
 * system lets not even root in, as FUSE does; the text names the file.
 */
int proc_stat_link(int proc_fd, const char *name, struct stat *ret,
		   struct err *err);

/*
 * The file of its namespace of this kind ("net", "time_for_children").
 * -ENOENT: it is ending, or the kernel has no such kind; -ESRCH: it is gone.
 */
int proc_stat_ns(int proc_fd, const char *kind, struct stat *ret,
		 struct err *err);

/* A number behind "key:" in fdinfo-like text; base 8, 10 or 16. */
int proc_text_u64(const char *text, const char *key, int base, uint64_t *ret,
		  struct err *err);

/* Offsets of the time namespace that a task is in, nanoseconds. */
int proc_read_timens(int proc_fd, int64_t *ret_monotonic, int64_t *ret_boottime,
		     struct err *err);

#endif
