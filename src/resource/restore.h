/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_RESTORE_H
#define JOBCR_RESOURCE_RESTORE_H

#include <limits.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject/remote.h"
#include "util/file_policy.h"

/*
 * What the restore side of a resource works on.  The engine fills these; a
 * resource reads them and calls the functions below.
 */
struct restore_thread {
	pid_t tid; /* as the worker sees it */
	pid_t ns_tid;
	struct tracee tracee;
	struct user_regs_struct regs; /* final, set by res_regs */
	uint64_t sigmask;
	bool have_regs;
	/* Final, set by res_thread. */
	struct dispatch dispatch;
	struct rseq_config rseq; /* address 0: none */
};

/* A call that the kernel was about to make again, or to end with EINTR. */
static inline bool regs_in_call(const struct user_regs_struct *regs)
{
	const int64_t code = (int64_t)regs->rax;

	return (int64_t)regs->orig_rax >= 0 && code >= -516 && code <= -512;
}

struct restore_task {
	pid_t pid; /* as the worker sees it */
	pid_t ns_pid, ns_ppid;
	bool zombie;
	struct restore_thread *threads; /* [0] is the leader */
	size_t nthreads;
	struct remote *remote;           /* a puppet's */
	uint64_t agent_start, agent_end; /* the puppet's own last memory */
};

struct restore_engine;

struct restore_owner { /* whose job it is, as proved by others */
	uint32_t uid, gid;
	const uint32_t *groups;
	size_t ngroups;
	/* Of whoever restores, hold for all threads: */
	bool no_new_privs;
	uint64_t dropped_caps; /* not in its bounding set */
};

struct restore_ctx {
	const struct restore_engine *engine; /* its functions, below */
	const struct restore_owner *owner;
	int root_fd;      /* "/" of the job's mount namespace */
	int init_proc_fd; /* /proc/PID of the job's init */
	int stdio[3];     /* the new step's, -1: none */
	int terminal_slave, terminal_master; /* the job's own; -1: none */
	enum file_policy files;
	uint32_t generation;    /* 0: of none, a directory was named */
	char *const *addresses; /* as in util/address_map.h */
	size_t naddresses;
	int64_t monotonic_offset_ns;       /* job's clock minus the node's */
	uint64_t dead_processes;           /* made so far, see pidfd.c */
	uint32_t allowed_cpus_len;         /* of the new allocation */
	const uint8_t *allowed_cpus;       /* bitmap */
	const struct cpu_order *cpu_order; /* of this node */
};

/* Provided by src/engine. */
struct restore_engine {
	void *arg; /* first argument of each function */
	/* The description of object is fd: taken. */
	int (*set_fd)(void *arg, uint32_t object, int fd, struct err *err);
	/* The worker's descriptor of an object, borrowed; -1: unknown. */
	int (*get_fd)(void *arg, uint32_t object);
	/*
	 * Pages owned by object are to be written into fd: duplicated, closed
	 * after the fill (a file that is executed may not be open for
	 * writing).  fd has its final size, nothing is written beyond it.
	 * fd -1: what is there will do, the pages are not needed.
	 */
	int (*set_data_fd)(void *arg, uint32_t object, int fd, struct err *err);
	/* Whoever restores is told this of the file at path. */
	void (*remark)(void *arg, enum file_remark remark, const char *path);
	/* A helper record by tag and object number (ghost, pipe, shmem). */
	const ProtobufCMessage *(*find)(void *arg, uint32_t tag,
					uint32_t object);
	/* A process of the tree by its inner pid, as the worker sees it, also
	 * one that is to be a zombie; 0: none.  From STAGE_OPEN on. */
	pid_t (*task_pid)(void *arg, pid_t ns_pid);
	/* Close the worker's descriptor of an object that no process has. */
	void (*drop_fd)(void *arg, uint32_t object);
	/* Remote calls are made in the leader of this process from now on;
	 * -ESRCH: there is none. */
	int (*enter)(void *arg, pid_t ns_pid, struct restore_task **ret,
		     struct err *err);
	/* Give a copy of fd to a task's puppet for the next calls; it is to be
	 * closed there. */
	int (*give_fd)(void *arg, struct restore_task *task, int fd,
		       int *ret_fd, struct err *err);
	/* A descriptor of object in the puppet, for the next calls: borrowed,
	 * another may take its number when one is asked for again. */
	int (*lend_fd)(void *arg, struct restore_task *task, uint32_t object,
		       int *ret_fd, struct err *err);
	/* The task has private anonymous memory there from its parent, with
	 * pages that both share; it was made as VmaRecord says. */
	bool (*inherited)(void *arg, const struct restore_task *task,
			  uint64_t start, uint64_t end);
	/*
	 * The filters of calls that all processes were born with here; lasts
	 * as long as the engine.  First asked for before one is installed.
	 */
	int (*inherited_filters)(void *arg, struct restore_task *task,
				 const struct filters **ret, struct err *err);
	/* Where the file is that had this path. */
	int (*map_path)(void *arg, const char *path, char ret[PATH_MAX],
			struct err *err);
	/* Open what had this path with the owner's rights, below the job's
	 * root. */
	int (*open_path)(void *arg, const char *path, int flags,
			 unsigned int mode, struct err *err);
	/* The same, by a path as map_path tells it. */
	int (*open_here)(void *arg, const char *path, int flags,
			 unsigned int mode, struct err *err);
};
#endif
