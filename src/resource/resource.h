/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_RESOURCE_H
#define JOBCR_RESOURCE_RESOURCE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "images/record.h"
#include "inject/remote.h"
#include "kernel/maps.h"
#include "kernel/proc.h"
#include "kernel/unix_diag.h"
#include "kernel/unix_queue.h"
#include "model/object.h"
#include "model/refusal.h"
#include "resource/restore.h"
#include "storage/as_user.h"
#include "util/copy_out.h"

/*
 * One file per kind of kernel object, with its dump and its restore side.
 * A resource exports its ops struct and nothing else, calls no other
 * resource, and names other objects by number only.
 */

/* A process as the dump side sees it.  Pointers are borrowed. */
struct task_view {
	pid_t pid;    /* as the worker sees it */
	pid_t ns_pid; /* in the job's pid namespace: what images hold */
	int proc_fd;  /* /proc/PID */
	int pidfd;
	const struct proc_stat *stat;
	const struct proc_status *status;
	const struct vma_list *vmas;
	uint8_t *siginfo; /* shared queue, 128 bytes each */
	size_t nsiginfo;
	uint32_t exe_object;   /* FileRecord of /proc/PID/exe; 0 in check() */
	struct tracee *leader; /* NULL in check(): nothing is stopped yet */
	struct remote *remote; /* the same; begun in the leader in dump() */
};

struct thread_view {
	const struct task_view *task;
	pid_t tid, ns_tid;
	int proc_fd;                      /* /proc/PID/task/TID */
	const struct proc_status *status; /* of this thread */
	struct tracee *tracee;
	/* Taken at the freeze, before anything was injected: */
	const struct user_regs_struct *regs; /* calls rewound for the image */
	uint64_t sigmask;
	struct rseq_config rseq;
	uint8_t *siginfo; /* private queue, 128 bytes each */
	size_t nsiginfo;
	struct remote *remote; /* begun in this thread in dump() */
};

/*
 * An open file description, seen through one of its holders; or a file that
 * is only mapped or executed (fd < 0).
 */
struct fd_view {
	const struct task_view *task; /* the first holder */
	int fd;                       /* its number there, -1: none */
	int own_fd; /* the worker's duplicate (O_PATH when only mapped) */
	uint32_t object;
	uint32_t flags; /* O_* without O_CLOEXEC */
	int64_t position;
	const char *link;   /* text of the /proc link */
	const char *fdinfo; /* "" when fd < 0 */
	const struct stat *stat;
	bool mapped;  /* only mapped: flags say how it must be open */
	bool travels; /* in a message of task's: fd is the worker's own */
};

/* What a dump may ask of the engine. */
struct dump_ctx {
	const struct img_sink *out;
	struct object_table *objects;
	const struct dump_engine *engine; /* functions below use it */
	const struct dump_options *options;
	bool guards_hidden; /* smaps does not tell where they may be */
};

struct dump_options {
	const char *const *carry; /* NULL-terminated: files below these paths
				     are local to the node: carry contents */
	/* NULL-terminated, NULL: none.  Files of the owner below these paths,
	 * and on tmpfs, travel if they are on a file system of the node. */
	const char *const *local;
	uint64_t local_bytes; /* of one such file, at most */
	/* Of all that is in directories of the job's own at these paths. */
	uint64_t private_bytes;
	pid_t mount_pid; /* a process in the tree's mount namespace */
	/* NULL-terminated, NULL: none.  Unix sockets of services outside:
	 * connections to them are closed where the job is restored. */
	const char *const *closed;
	const char *const *stdio; /* NULL-terminated: paths of the step's
				     output files */
	const struct job_terminal *terminal; /* the job's own; NULL: none */
	int pts_fd; /* /dev/pts of the job's own; -1: it has the node's */
	bool allow_uprobes; /* they are left out, and not refused */
	bool reset_peers; /* Connections to others are not refused: the restored
			     job sees it reset */
	uint32_t owner_uid;
	const struct user_id *owner; /* with its groups */
	/* CPUs of the allocation, a bitmap: the affinity of the job's init
	 * (without one: of the parent of the tree's root). */
	const uint8_t *allowed_cpus;
	uint32_t allowed_cpus_len;
	const struct cpu_order *cpu_order; /* of this node */
	uint32_t inherited_filters;        /* seccomp's, of the same process */
	/* A process in the tree's IPC namespace; 0: that is the node's. */
	pid_t ipc_pid;
};

/* Provided by src/engine through function pointers: the layer is above. */
struct dump_engine {
	void *arg;
	/* Object number behind descriptor fd of a task; 0: no such fd. */
	uint32_t (*fd_object)(void *arg, pid_t ns_pid, int fd);
	/* Object number of the file or shared memory that vma maps; 0: none. */
	uint32_t (*vma_object)(void *arg, const struct task_view *task,
			       const struct vma *vma);
	/* How often the tree has attached the System V segment, or any (id -1);
	 * one of these, to read, or -1: none (ret_fd may be NULL). */
	int (*segment)(void *arg, int id, uint64_t *ret_count, int *ret_fd,
		       struct err *err);
	/* Object number of the open file of the tree with this inode, for
	 * kinds of which there is one for each; 0: none. */
	uint32_t (*inode_object)(void *arg, dev_t dev, uint64_t inode);
	/* All files of the tree, open or only mapped, until fn fails. */
	int (*each_file)(void *arg,
			 int (*fn)(void *fn_arg, const struct fd_view *fd,
				   struct err *err),
			 void *fn_arg, struct err *err);
	/* A descriptor of an open file of the tree: owned by the caller. */
	int (*open_object)(void *arg, uint32_t object, int *ret_fd,
			   struct err *err);
	/* Inner pid of an outer one in the tree; 0: not in the tree. */
	pid_t (*ns_pid)(void *arg, pid_t pid);
	/* A process outside the tree (and not this one) that holds the object
	 * with this /proc link text, for messages; 0: nobody does. */
	pid_t (*held_outside)(void *arg, const char *link);
	/* A process outside the tree that maps or holds this shared memory
	 * (a file of the kernel's own, or mapped from a hugetlbfs); 0: none.
	 * *ret_unread: it may, as its maps cannot be read. */
	pid_t (*shmem_outside)(void *arg, dev_t dev, uint64_t inode,
			       bool *ret_unread);
	/* Object number of the job's socket with this inode; 0: it has none. */
	uint32_t (*socket_object)(void *arg, dev_t dev, uint64_t inode);
	/* All Unix sockets of the node, as they were some moments ago. */
	const struct unix_table *(*unix_sockets)(void *arg, struct err *err);
	/* What waits in a Unix socket of a frozen job, and the objects of the
	 * descriptors there, in order; NULL: it listens. */
	const struct unix_queue *(*unix_queue)(void *arg, uint32_t object,
					       const uint32_t **ret_objects);
	/* kcmp: is slot (epoll fd, tfd) of task the same file as its fd? */
	int (*epoll_target)(void *arg, const struct task_view *task, int epfd,
			    int tfd, uint32_t nth, uint32_t *ret_object,
			    struct err *err);
	/* Save [start, end) of a task's memory, what it has of its own. */
	int (*pages_of_task)(void *arg, const struct task_view *task,
			     const struct vma *vma, struct err *err);
	/* Save the data of a file (holes stay holes); fd is duplicated. */
	int (*pages_of_fd)(void *arg, uint32_t object, int fd, uint64_t size,
			   struct err *err);
	/* What the kernel will write to when the thread ends: addresses in
	 * its process, 0: none. */
	int (*ends_at)(void *arg, const struct thread_view *thread,
		       uint64_t clear_child_tid, uint64_t robust_head,
		       struct err *err);
	/* A process with the thread's real ids, without privileges, outside of
	 * the tree but in its pid namespace: its number there. */
	int (*witness)(void *arg, const struct thread_view *thread,
		       pid_t *ret_ns_pid, struct err *err);
	/* A descriptor of the master of /dev/pts/INDEX, owned by the caller;
	 * -1: no process of the tree has it. */
	int (*pty_master)(void *arg, uint32_t index);
	/* What can only be had by taking it out, of what stands still: a file
	 * with it, owned by the caller.  -ENOTSUP: nobody is there to do it. */
	int (*copy_out)(void *arg, enum copy_kind kind, int fd, int *ret_file,
			struct err *err);
	/* Has a process of the tree this inode open? */
	bool (*inode_open)(void *arg, dev_t dev, uint64_t inode);
	/* What /proc/PID/stat of the leader says; 0: no terminal, or it is
	 * not in the tree. */
	uint32_t (*session_tty)(void *arg, pid_t session);
	/* Inner number of a group; 0: nobody of the tree is in it. */
	pid_t (*ns_group)(void *arg, pid_t group);
	/* Must be durable before the snapshot exists; fd is duplicated. */
	int (*sync_later)(void *arg, int fd, struct err *err);
	/* A connection that should leave no trace when the job is killed,
	 * by whomever; fd is duplicated. */
	int (*end_quietly)(void *arg, int fd, struct err *err);
};

enum resource_scope { SCOPE_FILE, SCOPE_TASK, SCOPE_THREAD, SCOPE_TREE };

/*
 * Stages of a restore, in order; all tasks pass one before the next begins.
 * The engine's own work at a stage is done before the resources'.
 */
enum restore_stage {
	STAGE_NONE,
	STAGE_OPEN,    /* in the worker: open file descriptions, shmem */
	STAGE_EARLY,   /* before memory: descriptors are in place; cwd, THP */
	STAGE_MAP,     /* the puppet is empty: mappings are made, writable */
	STAGE_MAPPED,  /* contents are in: protections, advice, mm fields */
	STAGE_THREAD,  /* all threads exist: what each registers */
	STAGE_LATE,    /* descriptors' late work (epoll), sigactions, limits */
	STAGE_SIGNALS, /* pending queues; all signals are blocked */
	STAGE_CREDS,   /* from here on the task is the user's */
	STAGE_LAST,    /* dumpable, parent-death signal, subreaper */
	STAGE_ARM,     /* timers */
};

struct resource_ops {
	const char *name; /* as in messages: "eventfd" */
	/* For jobcr features, NULL: nothing.  A helper record has none. */
	const char *saved;
	const char *refused; /* by name, before the job is touched */
	const char *changes; /* what nobody can save, and nobody is told */
	uint32_t tag;
	enum resource_scope scope;
	enum restore_stage stage; /* when restore() is called */

	/* SCOPE_FILE: is this description mine?  The table asks in order. */
	bool (*match)(const struct fd_view *fd);

	/*
	 * Look without touching: called on a running job first, and again when
	 * it is frozen (then view->leader is not NULL).  Adds refusals.
	 */
	int (*check_file)(const struct dump_ctx *ctx, const struct fd_view *fd,
			  struct refusals *no, struct err *err);
	int (*check_task)(const struct dump_ctx *ctx,
			  const struct task_view *task, struct refusals *no,
			  struct err *err);
	int (*check_thread)(const struct dump_ctx *ctx,
			    const struct thread_view *thread,
			    struct refusals *no, struct err *err);

	/* Once for the tree: what no process or descriptor leads to. */
	int (*check_tree)(const struct dump_ctx *ctx, struct refusals *no,
			  struct err *err);

	/* Write the records; changes nothing in the job.  dump_ahead: before
	 * those of open files, which may have them in common. */
	int (*dump_ahead)(const struct dump_ctx *ctx, struct err *err);
	int (*dump_tree)(const struct dump_ctx *ctx, struct err *err);
	int (*dump_file)(const struct dump_ctx *ctx, const struct fd_view *fd,
			 struct err *err);
	int (*dump_task)(const struct dump_ctx *ctx,
			 const struct task_view *task, struct err *err);
	int (*dump_thread)(const struct dump_ctx *ctx,
			   const struct thread_view *thread, struct err *err);

	/*
	 * The calls that dump_task (in the leader) or dump_thread make in the
	 * job, for those who have filters of calls; NULL: none.
	 */
	const struct remote_ask *asks;

	/*
	 * SCOPE_FILE: make the open file description in the worker (own_fd)
	 * and hand it to restore_set_fd; helper records (PipeRecord,
	 * ShmemRecord, GhostRecord) have ops of their own with match NULL.
	 * SCOPE_TREE: make the object.
	 */
	int (*restore_file)(struct restore_ctx *ctx,
			    const ProtobufCMessage *msg, struct err *err);
	/* Take back what would outlive a restore that has failed, if
	 * restore_file got as far as to set the descriptor of its object. */
	void (*undo_file)(struct restore_ctx *ctx, const ProtobufCMessage *msg);
	/* SCOPE_FILE: once more in each task that holds it, at STAGE_LATE */
	int (*late_file)(struct restore_ctx *ctx, struct restore_task *task,
			 int fd, const ProtobufCMessage *msg, struct err *err);
	/*
	 * SCOPE_TASK, SCOPE_THREAD: in the puppet, by remote calls; thread is
	 * NULL for SCOPE_TASK, and the remote is begun in the right thread.
	 */
	int (*restore)(struct restore_ctx *ctx, struct restore_task *task,
		       struct restore_thread *thread,
		       const ProtobufCMessage *msg, struct err *err);
	/* A second time at stage2, when not STAGE_NONE.  SCOPE_FILE and
	 * SCOPE_TREE: once, in the worker, task and thread are NULL. */
	enum restore_stage stage2;
	int (*restore2)(struct restore_ctx *ctx, struct restore_task *task,
			struct restore_thread *thread,
			const ProtobufCMessage *msg, struct err *err);
};

/* The only list of resources, NULL-terminated; order is dump order. */
extern const struct resource_ops *const resource_table[];

/* One line for each file of this folder; only table.c uses them. */
/* open files */
extern const struct resource_ops res_eventfd;
extern const struct resource_ops res_timerfd;
extern const struct resource_ops res_signalfd;
extern const struct resource_ops res_pidfd;
extern const struct resource_ops res_dead_process;
extern const struct resource_ops res_inotify;
extern const struct resource_ops res_chardev;
extern const struct resource_ops res_shmem;
extern const struct resource_ops res_memfd;
extern const struct resource_ops res_tty;
extern const struct resource_ops res_pty;
extern const struct resource_ops res_pty_master;
extern const struct resource_ops res_epoll;
extern const struct resource_ops res_mqueue_fd;
extern const struct resource_ops res_unix;
extern const struct resource_ops res_unix_name;
extern const struct resource_ops res_unix_message;
extern const struct resource_ops res_pipe;
extern const struct resource_ops res_pipe_end;
extern const struct resource_ops res_tcp_connection;
extern const struct resource_ops res_tcp_data;
extern const struct resource_ops res_tcp;
extern const struct resource_ops res_udp;
extern const struct resource_ops res_directory;
extern const struct resource_ops res_private_dir;
extern const struct resource_ops res_private_entry;
extern const struct resource_ops res_ghost;
extern const struct resource_ops res_file;
extern const struct resource_ops res_unsupported;

/* the tree */
extern const struct resource_ops res_sysv_shm;
extern const struct resource_ops res_sysv_sem;
extern const struct resource_ops res_sysv_msg;
extern const struct resource_ops res_sysv_messages;
extern const struct resource_ops res_mqueue;
extern const struct resource_ops res_mqueue_messages;

/* one process */
extern const struct resource_ops res_process;
extern const struct resource_ops res_sysv_ipc;
extern const struct resource_ops res_sysv_undo;
extern const struct resource_ops res_fs;
extern const struct resource_ops res_rlimit;
extern const struct resource_ops res_terminal;
extern const struct resource_ops res_sigaction;
extern const struct resource_ops res_timer;
extern const struct resource_ops res_timer_overrun;
extern const struct resource_ops res_mm;
extern const struct resource_ops res_vma;
extern const struct resource_ops res_memory_policy;

/* one thread */
extern const struct resource_ops res_regs;
extern const struct resource_ops res_thread;
extern const struct resource_ops res_sigqueue;
extern const struct resource_ops res_creds;
extern const struct resource_ops res_sched;
extern const struct resource_ops res_thread_policy;
extern const struct resource_ops res_landlock;
extern const struct resource_ops res_seccomp;

/* NULL when no resource writes this tag. */
const struct resource_ops *resource_by_tag(uint32_t tag);

/* Whose job it is; groups stay the context's. */
static inline struct user_id restore_user(const struct restore_ctx *ctx)
{
	return (struct user_id){
		.uid = ctx->owner->uid,
		.gid = ctx->owner->gid,
		.ngroups = ctx->owner->ngroups,
		.groups = (gid_t *)ctx->owner->groups,
	};
}

#endif
