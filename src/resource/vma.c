// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mappings.  Made writable where contents may have to come in (private
 * memory that the kernel had accounted as writable), protected afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "images/ipc.pb-c.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/limits.h"
#include "kernel/vdso.h"
#include "model/mapping.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/newer_mman.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

#define PAGE          4096ull
#define USER_END      0x7ffffffff000ull
#define GUARDS_MAX    (1u << 18) /* numbers in one record */
#define ANON_NAME_MAX 80

/* MADV_* for what VmFlags shows. */
static const struct {
	uint64_t flag;
	int advice;
	const char *name;
} advices[] = {
	{ VMA_SEQUENTIAL, MADV_SEQUENTIAL, "MADV_SEQUENTIAL" },
	{ VMA_RANDOM, MADV_RANDOM, "MADV_RANDOM" },
	{ VMA_DONTFORK, MADV_DONTFORK, "MADV_DONTFORK" },
	{ VMA_DONTDUMP, MADV_DONTDUMP, "MADV_DONTDUMP" },
	{ VMA_WIPEONFORK, MADV_WIPEONFORK, "MADV_WIPEONFORK" },
	{ VMA_MERGEABLE, MADV_MERGEABLE, "MADV_MERGEABLE" },
};

/*
 * The image is saved once, from our own memory.  A mapping that goes away
 * meanwhile is none that was changed.
 */
static int check_vdso(const struct task_view *task, const struct vma *v,
		      struct refusals *no, struct err *err)
{
	auto_free uint8_t *theirs = malloc(v->end - v->start);
	struct iovec to = { theirs, v->end - v->start };
	struct iovec from = { (void *)(uintptr_t)v->start, to.iov_len };
	struct vdso_image own;
	int r = vdso_own(&own, err);

	if (r < 0)
		return r;
	if (!theirs)
		return err_num(err, ENOMEM, "vDSO");
	if (process_vm_readv(task->pid, &to, 1, &from, 1, 0) !=
	    (ssize_t)to.iov_len)
		return 0;
	if (to.iov_len != own.len || memcmp(theirs, own.data, own.len) != 0)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "run it without tools that change the vDSO",
			     "a vDSO that is not as the kernel made it");
	return 0;
}

static bool leave_out(const struct dump_ctx *ctx, const struct vma *v)
{
	return ctx->options->allow_uprobes && mapping_is_uprobes(v);
}

static enum mapping_kind refuse_segment(const char **ret_why,
					const char **ret_remedy)
{
	*ret_why = "a System V shared memory segment of the node";
	*ret_remedy = "run the job with an IPC namespace of its own "
		      "(--ipc=private, PrivateIPC)";
	return MAPPING_REFUSED;
}

/*
 * Kernels that look at each place where there may be a page need seconds for a
 * TiB, several times, and the job stands still.
 */
#define SPARSE_MAX (1ull << 39)

static void check_sparse(const struct task_view *task, uint64_t sparse,
			 uint64_t empty, struct refusals *no)
{
	if (sparse + empty <= SPARSE_MAX || pagemap_finds())
		return;
	if (!pagemap_trusts_smaps())
		sparse += empty;
	if (sparse > SPARSE_MAX)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "use Linux 6.7, or let it reserve less in one "
			     "piece",
			     "%llu GiB of nothing lie between its pages, which "
			     "this kernel looks through one by one",
			     (unsigned long long)(sparse >> 30));
}

/* empty: in mappings that have nothing else, which may be left out. */
static void add_sparse(const struct vma *v, enum mapping_kind kind,
		       uint64_t *sparse, uint64_t *empty)
{
	const uint64_t size = v->end - v->start;

	if (v->shared || (v->flags & VMA_HUGETLB) || size <= v->present)
		return;
	if (kind == MAPPING_ANON && !v->present)
		*empty += size;
	else if (kind == MAPPING_ANON || kind == MAPPING_FILE)
		*sparse += size - v->present;
}

static int vma_check(const struct dump_ctx *ctx, const struct task_view *task,
		     struct refusals *no, struct err *err)
{
	const char *why, *remedy;
	unsigned int vdsos = 0;
	struct mapping_devices devices;
	uint64_t sparse = 0, empty = 0;
	int r;

	r = mapping_devices(&devices, err);
	for (size_t i = 0; i < task->vmas->count && r == 0; i++) {
		const struct vma *v = &task->vmas->v[i];
		enum mapping_kind kind =
			mapping_classify(v, &devices, &why, &remedy);

		vdsos += kind == MAPPING_VDSO;
		add_sparse(v, kind, &sparse, &empty);
		if (kind == MAPPING_VDSO)
			r = check_vdso(task, v, no, err);
		if (kind == MAPPING_SYSV && !ctx->options->ipc_pid)
			kind = refuse_segment(&why, &remedy);
		if (kind != MAPPING_REFUSED || leave_out(ctx, v))
			continue;
		refusals_add(no, task->ns_pid, task->stat->comm, -1, remedy,
			     "%s at %#llx-%#llx%s%s", why,
			     (unsigned long long)v->start,
			     (unsigned long long)v->end, *v->path ? " " : "",
			     v->path);
	}
	/* A restore makes its last call there.  An exec maps it late. */
	if (task->leader && vdsos != 1)
		refusals_add(no, task->ns_pid, task->stat->comm, -1,
			     "run it without tools that unmap the vDSO",
			     "%u vDSOs mapped", vdsos);
	check_sparse(task, sparse, empty, no);
	return r;
}

static VmaRecord__Kind record_kind(const struct vma *v, enum mapping_kind kind)
{
	switch (kind) {
	case MAPPING_FILE:
		return v->shared ? VMA_RECORD__KIND__FILE_SHARED
				 : VMA_RECORD__KIND__FILE_PRIVATE;
	case MAPPING_SHMEM:
	case MAPPING_SYSV:
		return v->shared ? VMA_RECORD__KIND__SHMEM_SHARED
				 : VMA_RECORD__KIND__SHMEM_PRIVATE;
	case MAPPING_VDSO:
		return VMA_RECORD__KIND__VDSO;
	case MAPPING_VVAR:
		return VMA_RECORD__KIND__VVAR;
	case MAPPING_VVAR_VCLOCK:
		return VMA_RECORD__KIND__VVAR_VCLOCK;
	case MAPPING_DROPPABLE:
		return VMA_RECORD__KIND__DROPPABLE;
	default:
		return VMA_RECORD__KIND__ANON_PRIVATE;
	}
}

/* What of "[anon:NAME]" a program gave; NULL when it has none. */
static char *anon_name(const char *path)
{
	static const char *const prefix[] = { "[anon:", "[anon_shmem:" };
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(prefix); i++) {
		size_t n = strlen(prefix[i]);

		if (strncmp(path, prefix[i], n) == 0 && len > n &&
		    path[len - 1] == ']')
			return strndup(path + n, len - n - 1);
	}
	return NULL;
}

struct guards {
	uint64_t *v;
	size_t count, room;
};

static int guards_add(struct guards *g, uint64_t start, uint64_t end,
		      struct err *err)
{
	if (g->count + 2 > GUARDS_MAX)
		return err_set(err, -ENOTSUP, "too many guard regions");
	if (g->count + 2 > g->room) {
		size_t room = g->room ? g->room * 2 : 16;
		uint64_t *v = realloc(g->v, room * sizeof(*v));

		if (!v)
			return err_set(err, -ENOMEM, "guard regions");
		g->v = v;
		g->room = room;
	}
	g->v[g->count++] = start;
	g->v[g->count++] = end;
	return 0;
}

static int read_guards(int proc_fd, const struct vma *v, struct guards *g,
		       struct err *err)
{
	auto_close int fd = openat(proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	struct page_run runs[64];
	uint64_t at = v->start;
	size_t count;
	int r;

	if (fd < 0)
		return err_sys(err, "pagemap");
	while (at < v->end) {
		r = pagemap_scan(fd, PAGES_GUARD, at, v->end, runs,
				 ARRAY_SIZE(runs), &count, &at, err);
		for (size_t i = 0; r == 0 && i < count; i++)
			r = guards_add(g, runs[i].start, runs[i].end, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int dump_one(const struct dump_ctx *ctx, const struct task_view *task,
		    const struct vma *v, enum mapping_kind kind,
		    struct err *err)
{
	VmaRecord rec = VMA_RECORD__INIT;
	auto_free char *name = anon_name(v->path);
	struct guards guards = { 0 };
	int r = 0;

	rec.pid = task->ns_pid;
	rec.start = v->start;
	rec.end = v->end;
	rec.prot = v->prot;
	rec.kind = record_kind(v, kind);
	rec.flags = v->flags;
	rec.name = name;
	rec.has_page_size = (v->flags & VMA_HUGETLB) != 0;
	if (rec.has_page_size)
		rec.page_size = v->page_size;
	if (kind == MAPPING_FILE || kind == MAPPING_SHMEM ||
	    kind == MAPPING_SYSV) {
		rec.has_object = rec.has_offset = 1;
		rec.object = ctx->engine->vma_object(ctx->engine->arg, task, v);
		rec.offset = v->offset;
		if (!rec.object)
			return err_set(err, -ENOENT, "its file was not found");
	}
	if ((v->flags & VMA_GUARD) || ctx->guards_hidden)
		r = read_guards(task->proc_fd, v, &guards, err);
	if (r == 0) {
		rec.guards = guards.v;
		rec.n_guards = guards.count;
		r = img_put(ctx->out, TAG_VMA, &rec.base, err);
	}
	free(guards.v);
	if (r < 0 ||
	    (kind != MAPPING_ANON &&
	     (v->shared || (kind != MAPPING_FILE && kind != MAPPING_SHMEM))))
		return r;
	return ctx->engine->pages_of_task(ctx->engine->arg, task, v, err);
}

static int vma_dump(const struct dump_ctx *ctx, const struct task_view *task,
		    struct err *err)
{
	struct mapping_devices devices;
	int r;

	r = mapping_devices(&devices, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < task->vmas->count; i++) {
		const struct vma *v = &task->vmas->v[i];
		const char *why = NULL, *remedy = NULL;
		enum mapping_kind kind =
			mapping_classify(v, &devices, &why, &remedy);

		if (kind == MAPPING_SKIP || leave_out(ctx, v))
			continue;
		if (kind == MAPPING_REFUSED)
			r = err_set(err, -ENOTSUP, "%s", why);
		else
			r = dump_one(ctx, task, v, kind, err);
		if (r < 0)
			return err_wrap(err, r, "mapping %#llx-%#llx",
					(unsigned long long)v->start,
					(unsigned long long)v->end);
	}
	return 0;
}

static bool is_private(const VmaRecord *rec)
{
	return rec->kind == VMA_RECORD__KIND__ANON_PRIVATE ||
	       rec->kind == VMA_RECORD__KIND__FILE_PRIVATE ||
	       rec->kind == VMA_RECORD__KIND__SHMEM_PRIVATE;
}

static bool has_object(const VmaRecord *rec)
{
	return rec->kind == VMA_RECORD__KIND__FILE_PRIVATE ||
	       rec->kind == VMA_RECORD__KIND__FILE_SHARED ||
	       rec->kind == VMA_RECORD__KIND__SHMEM_PRIVATE ||
	       rec->kind == VMA_RECORD__KIND__SHMEM_SHARED;
}

static bool is_kernels(const VmaRecord *rec)
{
	return rec->kind == VMA_RECORD__KIND__VDSO ||
	       rec->kind == VMA_RECORD__KIND__VVAR ||
	       rec->kind == VMA_RECORD__KIND__VVAR_VCLOCK;
}

/*
 * Private memory with pages of its own was writable once, and the kernel
 * accounted it then (or was told not to).  Only that is mapped writable for
 * the fill: else a huge read-only file would count against the memory limit.
 * Huge pages are promised whatever the protection is, and what cannot be
 * written cannot be forced; but a writable shared mapping would make a file
 * longer that had lost its end.
 */
static uint32_t fill_prot(const VmaRecord *rec)
{
	if (rec->has_page_size)
		return is_private(rec) ? PROT_READ | PROT_WRITE
				       : rec->prot & ~(uint32_t)PROT_WRITE;
	if (is_private(rec) && (rec->flags & (VMA_ACCOUNT | VMA_NORESERVE)))
		return PROT_READ | PROT_WRITE;
	return rec->prot;
}

static int check_record(const VmaRecord *rec, struct err *err)
{
	const char *what = NULL;

	if (rec->start % PAGE || rec->end % PAGE || rec->start >= rec->end ||
	    rec->start < MAPPING_LOWEST || rec->end > USER_END)
		what = "bad range";
	else if (rec->kind < VMA_RECORD__KIND__ANON_PRIVATE ||
		 rec->kind > VMA_RECORD__KIND__DROPPABLE)
		what = "unknown kind";
	else if (rec->prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC))
		what = "bad protection";
	else if (has_object(rec) && (!rec->object || rec->offset % PAGE))
		what = "bad object or offset";
	else if (rec->name && strlen(rec->name) >= ANON_NAME_MAX)
		what = "name too long";
	else if (rec->n_guards % 2)
		what = "bad guard regions";
	for (size_t i = 0; !what && i < rec->n_guards; i += 2)
		if (rec->guards[i] < rec->start ||
		    rec->guards[i + 1] > rec->end ||
		    rec->guards[i] >= rec->guards[i + 1])
			what = "bad guard regions";
	return what ? err_set(err, -EBADMSG, "%s", what) : 0;
}

static int map_flags(const VmaRecord *rec)
{
	int flags = MAP_FIXED_NOREPLACE;

	if (rec->kind == VMA_RECORD__KIND__DROPPABLE)
		return flags | MAP_DROPPABLE | MAP_ANONYMOUS;
	flags |= is_private(rec) ? MAP_PRIVATE : MAP_SHARED;
	if (!has_object(rec))
		flags |= MAP_ANONYMOUS;
	if (!has_object(rec) && rec->has_page_size)
		flags |= MAP_HUGETLB | (int)hugetlb_flag(rec->page_size);
	if (rec->flags & VMA_NORESERVE)
		flags |= MAP_NORESERVE;
	if (rec->flags & VMA_GROWSDOWN)
		flags |= MAP_GROWSDOWN;
	return flags;
}

static int close_remote(struct remote *remote, int fd, struct err *err)
{
	return remote_later(remote, "close", 0, err, __NR_close, (uint64_t)fd,
			    0, 0, 0, 0, 0);
}

/*
 * Sealed memory may only be mapped through a descriptor that cannot write;
 * the object's own can.
 */
static int reopen_read_only(struct remote *remote, int *fd, struct err *err)
{
	uint64_t at = remote_buffer(remote);
	char path[64];
	int64_t value;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	r = remote_write(remote, at, path, strlen(path) + 1, err);
	if (r < 0)
		return r;
	r = remote_call(remote, "open again", &value, err, __NR_openat,
			(uint64_t)AT_FDCWD, at, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	if (r == 0)
		*fd = (int)value;
	return r;
}

/*
 * A descriptor in the puppet for the file that rec maps; -1: none needed.
 * *ret_own: it is to be closed.
 */
static int have_object(struct restore_ctx *ctx, struct restore_task *task,
		       const VmaRecord *rec, int *ret_fd, bool *ret_own,
		       struct err *err)
{
	int r;

	*ret_fd = -1;
	*ret_own = false;
	if (!has_object(rec))
		return 0;
	r = ctx->engine->lend_fd(ctx->engine->arg, task, rec->object, ret_fd,
				 err);
	if (r < 0 || rec->kind != VMA_RECORD__KIND__SHMEM_SHARED ||
	    (rec->flags & VMA_MAYWRITE))
		return r;
	*ret_own = true;
	return reopen_read_only(task->remote, ret_fd, err);
}

static int advise(struct remote *remote, const char *what, uint64_t start,
		  uint64_t end, int advice, struct err *err)
{
	return remote_later(remote, what, 0, err, __NR_madvise, start,
			    end - start, (uint64_t)advice, 0, 0, 0);
}

/* Huge pages are made, or not, when the contents come in. */
static int advise_huge(struct remote *remote, const VmaRecord *rec,
		       struct err *err)
{
	if (rec->flags & VMA_HUGEPAGE)
		return advise(remote, "MADV_HUGEPAGE", rec->start, rec->end,
			      MADV_HUGEPAGE, err);
	/* A growing mapping shows "nh" by itself. */
	if ((rec->flags & VMA_NOHUGEPAGE) && !(rec->flags & VMA_GROWSDOWN))
		return advise(remote, "MADV_NOHUGEPAGE", rec->start, rec->end,
			      MADV_NOHUGEPAGE, err);
	return 0;
}

/*
 * All of a segment is attached at once: where only a part of it is to be, it is
 * attached elsewhere and the part moved.  Nothing may be there, which a move
 * would replace: what holds the place says so.
 */
static int attach_part(struct remote *remote, const VmaRecord *rec, uint64_t at,
		       uint64_t size, struct err *err)
{
	const uint64_t len = rec->end - rec->start, from = at + rec->offset;
	const uint64_t behind = at + size - (from + len);
	int64_t value;
	int r;

	r = remote_call(remote, "move a segment", &value, err, __NR_mremap,
			from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			rec->start, 0);
	if (r == 0 && rec->offset)
		r = remote_call(remote, "munmap", &value, err, __NR_munmap, at,
				rec->offset, 0, 0, 0, 0);
	if (r == 0 && behind)
		r = remote_call(remote, "munmap", &value, err, __NR_munmap,
				from + len, behind, 0, 0, 0, 0);
	return r;
}

static int attach(struct remote *remote, const VmaRecord *rec, int id,
		  uint64_t size, struct err *err)
{
	const uint64_t len = rec->end - rec->start;
	const uint64_t flags = (rec->flags & VMA_MAYWRITE ? 0 : SHM_RDONLY) |
			       (rec->prot & PROT_EXEC ? SHM_EXEC : 0);
	int64_t value;
	int r = 0;

	if (rec->offset > size || len > size - rec->offset)
		return err_set(err, -EBADMSG, "is beyond segment %d", id);
	if (len == size)
		return remote_call(remote, "shmat", &value, err, __NR_shmat,
				   (uint64_t)id, rec->start, flags, 0, 0, 0);
	r = remote_call(remote, "mmap", &value, err, __NR_mmap, rec->start, len,
			PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				MAP_FIXED_NOREPLACE,
			UINT64_MAX, 0);
	if (r == 0)
		r = remote_call(remote, "shmat", &value, err, __NR_shmat,
				(uint64_t)id, 0, flags, 0, 0, 0);
	return r < 0 ? r : attach_part(remote, rec, (uint64_t)value, size, err);
}

static int map_segment(struct restore_ctx *ctx, struct restore_task *task,
		       const VmaRecord *rec, const SysvShmRecord *segment,
		       struct err *err)
{
	const struct restore_engine *e = ctx->engine;
	const ShmemRecord *memory =
		(const ShmemRecord *)e->find(e->arg, TAG_SHMEM, rec->object);
	const uint64_t page =
		memory && memory->has_page_size ? memory->page_size : PAGE;
	int r;

	if (!memory || rec->kind != VMA_RECORD__KIND__SHMEM_SHARED ||
	    memory->size > INT64_MAX - page)
		return err_set(err, -EBADMSG, "segment %d cannot be attached",
			       segment->id);
	r = attach(task->remote, rec, segment->id,
		   (memory->size + page - 1) / page * page, err);
	if (r == 0)
		r = remote_later(task->remote, "mprotect", 0, err,
				 __NR_mprotect, rec->start,
				 rec->end - rec->start, rec->prot, 0, 0, 0);
	return r < 0 ? r : advise_huge(task->remote, rec, err);
}

static int map_one(struct restore_ctx *ctx, struct restore_task *task,
		   const VmaRecord *rec, struct err *err)
{
	const SysvShmRecord *segment;

	bool own;
	int fd, r;

	r = check_record(rec, err);
	if (r < 0 || is_kernels(rec))
		return r;
	if (ctx->engine->inherited(ctx->engine->arg, task, rec->start,
				   rec->end))
		return advise_huge(task->remote, rec, err);
	segment = has_object(rec)
			  ? (const SysvShmRecord *)ctx->engine->find(
				    ctx->engine->arg, TAG_SYSV_SHM, rec->object)
			  : NULL;
	if (segment)
		return map_segment(ctx, task, rec, segment, err);
	r = have_object(ctx, task, rec, &fd, &own, err);
	if (r < 0)
		return r;
	r = remote_later(task->remote, "mmap", rec->start, err, __NR_mmap,
			 rec->start, rec->end - rec->start, fill_prot(rec),
			 (uint64_t)map_flags(rec), (uint64_t)(int64_t)fd,
			 has_object(rec) ? rec->offset : 0);
	if (r == 0 && own)
		r = close_remote(task->remote, fd, err);
	if (r == 0 && rec->kind != VMA_RECORD__KIND__DROPPABLE)
		r = advise_huge(task->remote, rec, err);
	return r;
}

static int wrap_range(const VmaRecord *rec, int r, struct err *err)
{
	return err_wrap(err, r, "mapping %#llx-%#llx",
			(unsigned long long)rec->start,
			(unsigned long long)rec->end);
}

static int vma_map(struct restore_ctx *ctx, struct restore_task *task,
		   struct restore_thread *thread, const ProtobufCMessage *msg,
		   struct err *err)
{
	const VmaRecord *rec = (const VmaRecord *)msg;
	int r = map_one(ctx, task, rec, err);

	(void)thread;
	return r < 0 ? wrap_range(rec, r, err) : 0;
}

static int set_name(struct remote *remote, const VmaRecord *rec,
		    struct err *err)
{
	uint64_t at = remote_buffer(remote);
	int64_t value;
	int r;

	r = remote_write(remote, at, rec->name, strlen(rec->name) + 1, err);
	if (r < 0)
		return r;
	return remote_call(remote, "PR_SET_VMA_ANON_NAME", &value, err,
			   __NR_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME,
			   rec->start, rec->end - rec->start, at, 0);
}

static int try_lock(struct remote *remote, const VmaRecord *rec,
		    unsigned int flags, int64_t *ret, struct err *err)
{
	const uint64_t args[6] = { rec->start, rec->end - rec->start, flags };

	return remote_syscall(remote, __NR_mlock2, args, ret, err);
}

/*
 * What cannot be read (PROT_NONE, guard regions, behind the end of a file) is
 * locked too, but brings ENOMEM.  On fault nothing is brought in.
 */
static int make_lock(struct remote *remote, const VmaRecord *rec,
		     struct err *err)
{
	unsigned int flags = rec->flags & VMA_LOCKONFAULT ? MLOCK_ONFAULT : 0;
	int64_t value, again;
	int r;

	r = try_lock(remote, rec, flags, &value, err);
	if (r == 0 && value == -ENOMEM && !flags) {
		r = try_lock(remote, rec, MLOCK_ONFAULT, &value, err);
		if (r == 0 && value == 0)
			r = try_lock(remote, rec, 0, &again, err);
	}
	if (r < 0 || value >= 0)
		return r;
	return err_num(err, (int)-value, "mlock2");
}

/*
 * The puppet may lock anything.  A user's program cannot have locked more
 * than the hard limit that it was started with, whatever it has set since;
 * but its user can have written so into the snapshot.
 */
static int check_lock(const struct restore_ctx *ctx, pid_t pid,
		      const VmaRecord *rec, struct err *err)
{
	auto_close int proc_fd = -EBADF;
	uint64_t locked, most;
	int r;

	if (!ctx->owner->uid)
		return 0;
	r = proc_open(pid, 0, &proc_fd, err);
	if (r == 0)
		r = limits_locked(proc_fd, &locked, err);
	if (r == 0)
		r = limits_hard(proc_fd, "Max locked memory", &most, err);
	if (r < 0 || (locked <= most && rec->end - rec->start <= most - locked))
		return r;
	return err_set(err, -EPERM,
		       "memory was locked, more than the %llu KiB that can be "
		       "here: raise LimitMEMLOCK of slurmd (or of whoever "
		       "restores; ulimit -l)",
		       (unsigned long long)most / 1024);
}

static int set_lock(const struct restore_ctx *ctx, struct restore_task *task,
		    const VmaRecord *rec, struct err *err)
{
	int r = check_lock(ctx, task->pid, rec, err);

	return r < 0 ? r : make_lock(task->remote, rec, err);
}

/* Contents are in: what would have hindered the fill, or is lost by it. */
static int finish_one(const struct restore_ctx *ctx, struct restore_task *task,
		      const VmaRecord *rec, struct err *err)
{
	struct remote *remote = task->remote;
	int r = 0;

	for (size_t i = 0; r == 0 && i < rec->n_guards; i += 2)
		r = advise(remote, "MADV_GUARD_INSTALL", rec->guards[i],
			   rec->guards[i + 1], MADV_GUARD_INSTALL, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(advices); i++)
		if (rec->flags & advices[i].flag)
			r = advise(remote, advices[i].name, rec->start,
				   rec->end, advices[i].advice, err);
	if (r == 0 && rec->name)
		r = set_name(remote, rec, err);
	if (r == 0 && fill_prot(rec) != rec->prot)
		r = remote_later(remote, "mprotect", 0, err, __NR_mprotect,
				 rec->start, rec->end - rec->start, rec->prot,
				 0, 0, 0);
	if (r == 0 && (rec->flags & VMA_LOCKED))
		r = set_lock(ctx, task, rec, err);
	return r;
}

static int vma_finish(struct restore_ctx *ctx, struct restore_task *task,
		      struct restore_thread *thread,
		      const ProtobufCMessage *msg, struct err *err)
{
	const VmaRecord *rec = (const VmaRecord *)msg;
	int64_t value;
	int r = 0;

	(void)thread;
	if (is_kernels(rec))
		return 0;
	if (rec->kind != VMA_RECORD__KIND__DROPPABLE)
		r = finish_one(ctx, task, rec, err);
	/* The last act: nothing can be done to it afterwards. */
	if (r == 0 && (rec->flags & VMA_SEALED))
		r = remote_call(task->remote, "mseal", &value, err, __NR_mseal,
				rec->start, rec->end - rec->start, 0, 0, 0, 0);
	return r < 0 ? wrap_range(rec, r, err) : 0;
}

const struct resource_ops res_vma = {
	.name = "vma",
	.saved = "mappings with protections, advice, locks, seals, guards, "
		 "names; pages, also huge ones (hugetlb)",
	.refused = "memory of devices, secretmem, userfaultfd, protection "
		   "keys, uprobes, a changed vDSO; what is too sparse for a "
		   "kernel before Linux 6.7",
	.changes = "pages of private file mappings and huge pages that were "
		   "shared copy-on-write are each process's own",
	.tag = TAG_VMA,
	.scope = SCOPE_TASK,
	.stage = STAGE_MAP,
	.check_task = vma_check,
	.dump_task = vma_dump,
	.restore = vma_map,
	.stage2 = STAGE_MAPPED,
	.restore2 = vma_finish,
};
