/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_COLLECT_H
#define JOBCR_ENGINE_COLLECT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/freeze.h"
#include "kernel/unix_diag.h"
#include "kernel/unix_queue.h"
#include "model/mapping.h"
#include "model/object.h"
#include "resource/resource.h"

/*
 * What a tree has, seen from outside, with all sharing resolved: processes,
 * descriptors, open file descriptions, mapped files and shared memory.  Made
 * twice: of the running tree for the preflight, when whatever vanishes
 * meanwhile is left out, and of the frozen one, when nothing may.
 */

/* An open file description; or a file that is mapped or executed only. */
struct collected_file {
	uint32_t object;
	uint32_t task;   /* index of the first holder */
	int fd;          /* there; -1: mapped only */
	bool travels;    /* in a socket only: fd is this process's own */
	char *open_path; /* fd < 0: what to open below the task's /proc */
	uint64_t ino;
	dev_t dev;
	uint32_t flags;
	int64_t position;
	char *fdinfo; /* owned; "" of mapped files */
	bool shmem;
	const struct resource_ops *ops; /* set by the checks */
};

struct collected_slot {
	uint32_t task;
	int fd;
	bool cloexec;
	uint32_t file; /* index */
	/* Until descriptions are told apart: */
	uint64_t ino;
	dev_t dev;
	uint32_t flags;
	int64_t position;
	char *fdinfo;
};

struct collected_queue { /* of a Unix socket */
	uint32_t object;
	struct unix_queue queue;
	uint32_t *objects; /* of the descriptors in it, in order */
};

struct collected_task {
	struct task_view view;
	const struct frozen_task *frozen;
	struct vma_list vmas;
	bool quick;           /* they were looked at so, policies too */
	uint32_t *vma_object; /* by index in vmas */
	struct thread_view *threads;
	struct proc_status *thread_status;
	size_t nthreads;
};

struct collected_id { /* of a thread or process, sorted by tid */
	pid_t tid, ns_tid;
};

#define COLLECTION_MOUNTS 16

struct collection;

/*
 * How mappings of a frozen tree are looked at, see kernel/quick_maps.h.
 */
struct quick_look {
	struct quick_maps *maps; /* NULL: as those of a running one */
	uint64_t rss_kb;         /* of the running tree */
};

/*
 * Before the tree is frozen, while no other thread maps memory: is the tree
 * worth it, and can it be done?  least_kb: in memory, from where on; 0: from
 * where it saves time.
 */
void quick_look_note(struct quick_look *q, const struct collection *running);
void quick_look_prepare(struct quick_look *q, uint64_t least_kb);
void quick_look_done(struct quick_look *q);

struct collection {
	struct frozen_tree *tree; /* borrowed */
	bool frozen;
	const struct quick_look *quick; /* borrowed, or NULL */
	uint32_t nquick;                /* processes looked at so */
	bool uprobes;                 /* somebody has breakpoints of a tracer */
	struct collected_task *tasks; /* as in tree */
	size_t ntasks;
	struct collected_slot *slots; /* by task, then by fd */
	size_t nslots;
	struct collected_file *files;
	size_t nfiles, files_room;
	struct unix_table sockets; /* of the node, once asked for */
	bool have_sockets;
	struct collected_queue *queues; /* of a frozen tree */
	size_t nqueues;
	struct collected_id *ids;
	size_t nids;
	struct object_table *objects;
	struct mapping_devices devices;
	dev_t mounts[COLLECTION_MOUNTS]; /* /dev/shm; mapped hugetlbfs' */
	size_t nmounts;
};

/* quick: of a frozen tree, or NULL. */
int collect(struct frozen_tree *tree, bool frozen,
	    const struct quick_look *quick, struct collection *ret,
	    struct err *err);
void collection_done(struct collection *c);

/*
 * Threads that were stopped in connect() on a TCP socket whose connection has
 * come about since.  The kernel would let the call succeed when it is made
 * again, but not on a restored socket, which is connected already: in the
 * image it has succeeded.  Of a frozen tree of which nothing is refused (so
 * no socket is still being connected).
 */
void collect_connects(struct frozen_tree *tree, const struct collection *c);

/* Parts of collect. */
int collect_vmas(struct collection *c, struct err *err);
int collect_descriptors(struct collection *c, struct err *err);
int collect_queues(struct collection *c, struct err *err);
int collect_mappings(struct collection *c, struct err *err);

/* A new entry at the end of files; object is set. */
int collection_add_file(struct collection *c, const struct collected_file *file,
			struct err *err);

/* /dev/pts of a process of the tree, owned by the caller; -1: the node's. */
int collect_open_pts(pid_t pid);

/*
 * Open a file's view: the caller calls fn with it.  -ENOENT on a running
 * tree: it is gone.
 */
typedef int (*file_view_fn)(void *arg, struct collected_file *file,
			    const struct fd_view *view, struct err *err);
int collection_view(struct collection *c, struct collected_file *file,
		    file_view_fn fn, void *arg, struct err *err);

/* What dump_engine's functions of the same names promise. */
uint32_t collection_fd_object(const struct collection *c, pid_t ns_pid, int fd);
uint32_t collection_vma_object(const struct collection *c,
			       const struct task_view *task,
			       const struct vma *vma);
uint32_t collection_inode_object(const struct collection *c, dev_t dev,
				 uint64_t inode);
int collection_open_object(const struct collection *c, uint32_t object,
			   int *ret_fd, struct err *err);
pid_t collection_ns_pid(const struct collection *c, pid_t pid);
int collection_segment(const struct collection *c, int id, uint64_t *ret_count,
		       int *ret_fd, struct err *err);
const struct unix_table *collection_sockets(struct collection *c,
					    struct err *err);
uint32_t collection_socket(const struct collection *c, dev_t dev,
			   uint64_t inode);
const struct unix_queue *collection_queue(const struct collection *c,
					  uint32_t object,
					  const uint32_t **ret_objects);
int collection_epoll_target(const struct collection *c,
			    const struct task_view *task, int epfd, int tfd,
			    uint32_t nth, uint32_t *ret_object,
			    struct err *err);

/* Who has a file that is open: its number there is its fd. */
pid_t collection_file_pid(const struct collection *c,
			  const struct collected_file *f);
int collection_pty_master(const struct collection *c, uint32_t index);
bool collection_inode_open(const struct collection *c, dev_t dev, uint64_t ino);
uint32_t collection_session_tty(const struct collection *c, pid_t session);
pid_t collection_ns_group(const struct collection *c, pid_t group);

/* Does a number as in /proc/PID/stat mean a terminal whose master is there? */
bool collection_controls(const struct collection *c, uint32_t tty_nr);

/* The process by its inner pid, NULL: none. */
const struct collected_task *collection_task(const struct collection *c,
					     pid_t ns_pid);

/* May be left out: gone from a running tree. */
static inline bool collection_gone(const struct collection *c, int r)
{
	return !c->frozen && (r == -ENOENT || r == -ESRCH || r == -EBADF);
}

#endif
