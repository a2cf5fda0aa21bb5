// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System V shared memory.  A segment is a file of the kernel's own, as shared
 * anonymous memory is: a ShmemRecord has its size and its contents.  Processes
 * attach it by its id (vma.c), so that the kernel counts them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <unistd.h>

#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/hugetlb.h"
#include "kernel/limits.h"
#include "resource/ipc_object.h"
#include "util/cleanup.h"

#ifndef SHM_HUGETLB
#define SHM_HUGETLB 04000
#endif
#ifndef SHM_NORESERVE
#define SHM_NORESERVE 010000
#endif

#define PAGE 4096u

struct checking {
	struct refusals *no;
	uint64_t attached; /* by the tree: of all that were looked at */
};

static void refuse_others(struct refusals *no)
{
	refusals_add(no, 0, "", -1, "detach it before a change of namespaces",
		     "a System V shared memory segment of another IPC "
		     "namespace is attached");
}

static int check_attached(const struct dump_ctx *ctx, int id,
			  const struct shmid_ds *ds, struct checking *k,
			  struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	const unsigned long long all = ds->shm_nattch;
	uint64_t attached;
	int r;

	r = e->segment(e->arg, id, &attached, NULL, err);
	if (r < 0)
		return r;
	k->attached += attached;
	/* While the job runs it attaches and detaches. */
	if (!ctx->out || attached == all)
		return 0;
	if (attached > all)
		refuse_others(k->no);
	else
		refusals_add(k->no, 0, "", -1,
			     "end the other process, or run it in the job",
			     "a System V shared memory segment (id %d) that is "
			     "attached outside the job (%llu of %llu times)",
			     id, all - attached, all);
	return 0;
}

static int check_one(const struct dump_ctx *ctx, int id, void *arg,
		     struct err *err)
{
	struct checking *k = arg;
	struct shmid_ds ds;
	uint64_t forced = 0;
	int r;

	if (shmctl(id, IPC_STAT, &ds) < 0)
		return err_sys(err, "shmctl");
	ipc_check_creator(ctx, "shared memory segment", id, &ds.shm_perm,
			  k->no);
	r = ipc_limit("kernel/shm_rmid_forced", 0, &forced, err);
	if (r == 0 && forced)
		refusals_add(k->no, 0, "", -1,
			     "set kernel.shm_rmid_forced to 0",
			     "a System V shared memory segment (id %d), which "
			     "the kernel removes when its maker has ended",
			     id);
	return r < 0 ? r : check_attached(ctx, id, &ds, k, err);
}

/* Who has left another namespace may still have a segment of it. */
static int sysv_shm_check(const struct dump_ctx *ctx, struct refusals *no,
			  struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	struct checking k = { .no = no };
	uint64_t all = 0;
	int r;

	if (!ipc_is_jobs(ctx))
		return 0;
	r = ipc_each(ctx, IPC_SHM, check_one, &k, err);
	if (r == 0)
		r = e->segment(e->arg, -1, &all, NULL, err);
	if (r == 0 && ctx->out && all > k.attached)
		refuse_others(no);
	return r;
}

/* The file behind memory of ours. */
static int open_mapped(const void *at, uint64_t size, int flags,
		       struct err *err)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		       (unsigned long)at, (unsigned long)at + size);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open a segment") : fd;
}

static uint64_t round_up(uint64_t size, uint64_t page)
{
	return (size + page - 1) / page * page;
}

/*
 * By an attachment of ours, which is all that leads to a segment that nobody
 * has attached.  page 0: not known yet.  keep: let_go detaches it.
 */
static int open_attached(int id, uint64_t size, uint64_t page, int flags,
			 bool keep, struct err *err)
{
	void *at = shmat(id, NULL, flags == O_RDONLY ? SHM_RDONLY : 0);
	struct err first = { 0 };
	int fd = -ENOENT;

	if (at == (void *)-1)
		return err_sys(err, "shmat");
	if (page)
		fd = open_mapped(at, round_up(size, page), flags, err);
	else
		fd = open_mapped(at, round_up(size, PAGE), flags, &first);
	for (size_t i = 0; !page && fd < 0 && i < HUGETLB_SIZES; i++)
		fd = open_mapped(at, round_up(size, hugetlb_sizes[i]), flags,
				 err);
	if (!keep || fd < 0)
		(void)shmdt(at);
	return fd;
}

/* The last page may hold more than the segment's size tells. */
static int read_tail(int fd, const SysvShmRecord *rec, uint64_t size,
		     uint8_t ret[PAGE], size_t *ret_len, struct err *err)
{
	const size_t used = size % PAGE;
	size_t len = PAGE - used;
	uint8_t *page;

	(void)rec;
	*ret_len = 0;
	if (!used)
		return 0;
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		    (off_t)(size - used));
	if (page == MAP_FAILED)
		return err_sys(err, "map the last page");
	while (len && !page[used + len - 1])
		len--;
	memcpy(ret, page + used, len);
	*ret_len = len;
	(void)munmap(page, PAGE);
	return 0;
}

static int put_memory(const struct dump_ctx *ctx, uint32_t object, int fd,
		      uint64_t size, const struct ipc_perm *perm,
		      struct err *err)
{
	ShmemRecord rec = SHMEM_RECORD__INIT;
	uint64_t page = hugetlb_of_file(fd);
	int r;

	rec.object = object;
	rec.size = page ? round_up(size, page) : size;
	rec.has_page_size = page != 0;
	rec.page_size = page;
	rec.has_mode = rec.has_uid = rec.has_gid = 1;
	rec.mode = perm->mode & 0777;
	rec.uid = perm->uid;
	rec.gid = perm->gid;
	r = img_put(ctx->out, TAG_SHMEM, &rec.base, err);
	return r < 0 ? r
		     : ctx->engine->pages_of_fd(ctx->engine->arg, object, fd,
						rec.size, err);
}

static int open_segment(const struct dump_ctx *ctx, int id, uint64_t size,
			int *ret_key, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	char path[32], link[64] = "";
	uint64_t attached;
	unsigned int key;
	int r;

	r = e->segment(e->arg, id, &attached, &fd, err);
	if (r < 0)
		return r;
	if (fd < 0)
		fd = open_attached(id, size, 0, O_RDONLY, false, err);
	if (fd < 0)
		return fd;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return err_sys(err, "name of a segment");
	*ret_key = sscanf(link, "/SYSV%x", &key) == 1 ? (int)key : 0;
	return take_fd(&fd);
}

static int dump_segment(const struct dump_ctx *ctx, int id,
			const struct shmid_ds *ds, struct err *err)
{
	SysvShmRecord rec = SYSV_SHM_RECORD__INIT;
	IpcPermissions permissions;
	auto_close int fd = -EBADF;
	uint8_t tail[PAGE];
	int r, key = 0;

	r = object_get(ctx->objects, OBJECT_SYSV_SHM, (uint64_t)id, 0, 0,
		       &rec.object, NULL, err);
	if (r < 0)
		return r;
	fd = open_segment(ctx, id, ds->shm_segsz, &key, err);
	if (fd < 0)
		return fd;
	ipc_fill(&ds->shm_perm, &permissions);
	rec.id = id;
	rec.size = ds->shm_segsz;
	rec.permissions = &permissions;
	rec.removed = (ds->shm_perm.mode & SHM_DEST) != 0;
	rec.locked = (ds->shm_perm.mode & SHM_LOCKED) != 0;
	rec.has_name = key != 0;
	rec.name = key;
	if (!hugetlb_of_file(fd)) {
		r = read_tail(fd, &rec, ds->shm_segsz, tail, &rec.tail.len,
			      err);
		rec.has_tail = rec.tail.len != 0;
		rec.tail.data = tail;
	}
	if (r == 0)
		r = put_memory(ctx, rec.object, fd, ds->shm_segsz,
			       &ds->shm_perm, err);
	return r < 0 ? r : img_put(ctx->out, TAG_SYSV_SHM, &rec.base, err);
}

/* A new segment may have the key of one that is removed: that comes first. */
static int dump_one(const struct dump_ctx *ctx, int id, void *arg,
		    struct err *err)
{
	const bool removed = *(const bool *)arg;
	struct shmid_ds ds;

	if (shmctl(id, IPC_STAT, &ds) < 0)
		return err_sys(err, "shmctl");
	return !(ds.shm_perm.mode & SHM_DEST) == removed
		       ? 0
		       : dump_segment(ctx, id, &ds, err);
}

static int sysv_shm_dump(const struct dump_ctx *ctx, struct err *err)
{
	bool removed = true;
	int r = ipc_each(ctx, IPC_SHM, dump_one, &removed, err);

	removed = false;
	return r < 0 ? r : ipc_each(ctx, IPC_SHM, dump_one, &removed, err);
}

static const ShmemRecord *memory_of(const struct restore_ctx *ctx,
				    const SysvShmRecord *rec, struct err *err)
{
	const ShmemRecord *memory = (const ShmemRecord *)ctx->engine->find(
		ctx->engine->arg, TAG_SHMEM, rec->object);

	const uint64_t page =
		memory && memory->has_page_size ? memory->page_size : 1;

	if (!memory || memory->memfd || !rec->size ||
	    rec->size > memory->size || memory->size - rec->size >= page) {
		(void)err_set(err, -EBADMSG, "segment %d has no memory",
			      rec->id);
		return NULL;
	}
	return memory;
}

static int get_segment(const SysvShmRecord *rec, const ShmemRecord *memory,
		       int key, struct err *err)
{
	int flags = IPC_CREAT | IPC_EXCL | (int)(rec->permissions->mode & 0777);
	int id;

	if (memory->has_page_size)
		flags |= SHM_HUGETLB | (int)hugetlb_flag(memory->page_size);
	else
		flags |= SHM_NORESERVE; /* as other shared memory */
	id = shmget(key, rec->size, flags);
	if (id < 0)
		return err_sys(err, "shmget of %llu bytes",
			       (unsigned long long)rec->size);
	return id == rec->id
		       ? 0
		       : err_set(err, -EEXIST, "got the id %d instead", id);
}

/*
 * Locked memory of segments counts for the user who locks it, all over the
 * node.  How much that may be is asked of the calling process: it is lent the
 * limit that the job was started with.
 */
static int lock_segment(const struct restore_ctx *ctx, const SysvShmRecord *rec,
			struct err *err)
{
	struct rlimit own, jobs;
	uint64_t most;
	int r = limits_hard(ctx->init_proc_fd, "Max locked memory", &most, err);

	if (r < 0)
		return r;
	if (getrlimit(RLIMIT_MEMLOCK, &own) < 0)
		return err_sys(err, "getrlimit");
	jobs = (struct rlimit){ most,
				most > own.rlim_max ? most : own.rlim_max };
	/* Without CAP_SYS_RESOURCE no more than we may ourselves. */
	if (setrlimit(RLIMIT_MEMLOCK, &jobs) < 0) {
		most = jobs.rlim_cur = jobs.rlim_max = own.rlim_max;
		if (setrlimit(RLIMIT_MEMLOCK, &jobs) < 0)
			return err_sys(err, "setrlimit");
	}
	r = ipc_as_creator(ctx, rec->permissions, err);
	if (r == 0 && shmctl(rec->id, SHM_LOCK, NULL) < 0)
		r = err_sys(err,
			    "SHM_LOCK: it was locked, here the user can lock "
			    "%llu KiB in all: raise LimitMEMLOCK of slurmd (or "
			    "of whoever restores; ulimit -l)",
			    (unsigned long long)most / 1024);
	ipc_as_root();
	(void)setrlimit(RLIMIT_MEMLOCK, &own);
	return r;
}

static int make_segment(const struct restore_ctx *ctx, const SysvShmRecord *rec,
			const ShmemRecord *memory, struct err *err)
{
	struct shmid_ds ds = { 0 };
	int r;

	r = ipc_set_next_id(IPC_SHM, rec->id, err);
	if (r == 0)
		r = ipc_as_creator(ctx, rec->permissions, err);
	if (r < 0)
		return r;
	r = get_segment(rec, memory,
			rec->removed ? rec->name : rec->permissions->key, err);
	ds.shm_perm.uid = rec->permissions->uid;
	ds.shm_perm.gid = rec->permissions->gid;
	ds.shm_perm.mode = rec->permissions->mode & 0777;
	if (r == 0 && shmctl(rec->id, IPC_SET, &ds) < 0)
		r = err_sys(err, "owner of a segment");
	ipc_as_root();
	return r == 0 && rec->locked ? lock_segment(ctx, rec, err) : r;
}

static int sysv_shm_restore(struct restore_ctx *ctx,
			    const ProtobufCMessage *msg, struct err *err)
{
	const SysvShmRecord *rec = (const SysvShmRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	const ShmemRecord *memory = memory_of(ctx, rec, err);
	auto_close int fd = -EBADF;
	struct ipc_visit visit;
	uint64_t forced;
	int r;

	if (!memory)
		return err->code;
	r = ipc_enter_new(ctx, &visit, err);
	if (r < 0)
		return r;
	r = ipc_limit("kernel/shm_rmid_forced", 0, &forced, err);
	if (r == 0 && forced)
		r = err_set(err, -ENOTSUP,
			    "kernel.shm_rmid_forced is set on this node");
	if (r == 0)
		r = make_segment(ctx, rec, memory, err);
	if (r == 0) {
		fd = open_attached(rec->id, memory->size,
				   memory->has_page_size ? memory->page_size
							 : PAGE,
				   O_RDWR, rec->removed, err);
		r = fd < 0 ? fd : 0;
	}
	/* Ours keeps it until the job has attached it. */
	if (r == 0 && rec->removed && shmctl(rec->id, IPC_RMID, NULL) < 0)
		r = err_sys(err, "remove it");
	ipc_leave(&visit);
	if (r < 0)
		return err_wrap(err, r, "segment %d", rec->id);
	r = e->set_data_fd(e->arg, rec->object, fd, err);
	return r < 0 ? r : e->set_fd(e->arg, rec->object, take_fd(&fd), err);
}

static int write_tail(const SysvShmRecord *rec, const ShmemRecord *memory,
		      int fd, struct err *err)
{
	const size_t used = memory->size % PAGE;
	uint8_t *page;

	if (!rec->has_tail || !rec->tail.len)
		return 0;
	if (!used || memory->has_page_size || rec->tail.len > PAGE - used)
		return err_set(err, -EBADMSG, "segment %d: its last page",
			       rec->id);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)(memory->size - used));
	if (page == MAP_FAILED)
		return err_sys(err, "map the last page");
	memcpy(page + used, rec->tail.data, rec->tail.len);
	(void)munmap(page, PAGE);
	return 0;
}

static int let_go(const SysvShmRecord *rec, struct err *err)
{
	auto_close int proc_fd =
		open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct vma_list vmas = { 0 };
	int r;

	if (proc_fd < 0)
		return err_sys(err, "/proc/self");
	r = maps_read_fast(proc_fd, &vmas, err);
	for (size_t i = 0; i < vmas.count && r == 0; i++) {
		const struct vma *v = &vmas.v[i];

		if (v->inode == (uint64_t)rec->id &&
		    !strncmp(v->path, "/SYSV", 5) &&
		    shmdt((void *)(uintptr_t)v->start) < 0)
			r = err_sys(err, "detach segment %d", rec->id);
	}
	maps_done(&vmas);
	return r;
}

/* Contents are in, and all tasks have attached it. */
static int sysv_shm_finish(struct restore_ctx *ctx, struct restore_task *task,
			   struct restore_thread *thread,
			   const ProtobufCMessage *msg, struct err *err)
{
	const SysvShmRecord *rec = (const SysvShmRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	const ShmemRecord *memory = memory_of(ctx, rec, err);
	int r;

	(void)task;
	(void)thread;
	if (!memory)
		return err->code;
	r = write_tail(rec, memory, e->get_fd(e->arg, rec->object), err);
	return r < 0 || !rec->removed ? r : let_go(rec, err);
}

const struct resource_ops res_sysv_shm = {
	.name = "System V segments",
	.saved = "segments with ids, keys, owners and contents, attached or "
		 "not",
	.refused = "what is in the node's IPC namespace, or attached from "
		   "outside the job",
	.changes = "who attached a segment last, who made it, and when",
	.tag = TAG_SYSV_SHM,
	.scope = SCOPE_TREE,
	.stage = STAGE_OPEN,
	.check_tree = sysv_shm_check,
	.dump_tree = sysv_shm_dump,
	.restore_file = sysv_shm_restore,
	.stage2 = STAGE_LATE,
	.restore2 = sysv_shm_finish,
};
