// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shared memory without a name in a file system: MAP_SHARED | MAP_ANONYMOUS
 * and memfds.  Both are files on the kernel's own tmpfs.  One record for each
 * file; mappings and open memfds name it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "model/mapping.h"
#include "resource/holder.h"
#include "resource/resource.h"
#include "util/cleanup.h"

#define DELETED        " (deleted)"
#define MEMFD          "/memfd:"
#define MEMFD_NAME_MAX 249

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

/* The engine shows each object once, as a mapped file. */
static bool shmem_match(const struct fd_view *fd)
{
	struct mapping_devices devices;
	struct err err = { 0 };

	return fd->mapped && S_ISREG(fd->stat->st_mode) &&
	       mapping_devices(&devices, &err) == 0 &&
	       mapping_is_memory(&devices, fd->stat->st_dev);
}

static bool is_memfd(const char *link)
{
	return strncmp(link, MEMFD, strlen(MEMFD)) == 0;
}

/* Nobody else may write to memory that the image says is the tree's own. */
static int shmem_check(const struct dump_ctx *ctx, const struct fd_view *fd,
		       struct refusals *no, struct err *err)
{
	const struct dump_options *opt = ctx->options;
	bool unread = false;
	pid_t other = ctx->engine->shmem_outside(
		ctx->engine->arg, fd->stat->st_dev, fd->stat->st_ino, &unread);

	(void)err;
	if (other)
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, -1,
			     "end the other process, or run it in the job",
			     "memory %s process %d outside the job: %s",
			     holder_shares(unread), (int)other, fd->link);
	if (opt->owner_uid && fd->stat->st_uid != opt->owner_uid &&
	    is_memfd(fd->link))
		refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, -1,
			     "let the job make its own memfds",
			     "a memfd of user %u: %s", fd->stat->st_uid,
			     fd->link);
	return 0;
}

/* A description of our own: the view's may be O_PATH or the job's. */
static int reopen(int own_fd, int flags, struct err *err)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", own_fd);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open again") : fd;
}

static int shmem_dump(const struct dump_ctx *ctx, const struct fd_view *view,
		      struct err *err)
{
	ShmemRecord rec = SHMEM_RECORD__INIT;
	auto_close int fd = reopen(view->own_fd, O_RDONLY, err);
	size_t len = strlen(view->link);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat");
	rec.object = view->object;
	rec.size = (uint64_t)st.st_size;
	rec.page_size = hugetlb_of_file(fd);
	rec.has_page_size = rec.page_size != 0;
	rec.memfd = is_memfd(view->link);
	if (rec.memfd) {
		if (len >= strlen(MEMFD DELETED))
			len -= strlen(MEMFD DELETED);
		rec.has_name = 1;
		rec.name.data = (uint8_t *)view->link + strlen(MEMFD);
		rec.name.len = len;
		r = fcntl(fd, F_GET_SEALS);
		if (r < 0)
			return err_sys(err, "seals");
		rec.has_seals = 1;
		rec.seals = (uint32_t)r;
	}
	rec.has_mode = rec.has_uid = rec.has_gid = 1;
	rec.mode = st.st_mode & 07777;
	rec.uid = st.st_uid;
	rec.gid = st.st_gid;
	r = img_put(ctx->out, TAG_SHMEM, &rec.base, err);
	if (r < 0)
		return r;
	return ctx->engine->pages_of_fd(ctx->engine->arg, view->object, fd,
					rec.size, err);
}

/*
 * As the program would have got it, so that its name in maps is the same.
 * The descriptor is of the mapping's own file.
 */
static int make_anonymous(const ShmemRecord *rec, struct err *err)
{
	int fd, r, flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
	uint64_t size = rec->size;
	char path[96];
	void *p;

	if (rec->has_page_size)
		flags |= MAP_HUGETLB | (int)hugetlb_flag(rec->page_size);
	p = mmap(NULL, size, PROT_NONE, flags, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(err, "shared memory of %llu bytes",
			       (unsigned long long)size);
	(void)snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		       (unsigned long)p, (unsigned long)p + size);
	fd = open(path, O_RDWR | O_CLOEXEC);
	r = fd < 0 ? err_sys(err, "open shared memory") : 0;
	(void)munmap(p, size);
	return r < 0 ? r : fd;
}

static int make_memfd(const ShmemRecord *rec, struct err *err)
{
	char name[MEMFD_NAME_MAX + 1] = "";
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	auto_close int fd = -EBADF;

	if (rec->name.len > MEMFD_NAME_MAX ||
	    (rec->name.len && memchr(rec->name.data, 0, rec->name.len)))
		return err_set(err, -EBADMSG, "memfd: bad name");
	if (rec->name.len)
		memcpy(name, rec->name.data, rec->name.len);
	if (rec->has_page_size)
		flags |= MFD_HUGETLB | hugetlb_flag(rec->page_size);
	fd = memfd_create(name, flags | MFD_EXEC);
	/* Kernels before 6.3 know only executable ones. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	if (fd < 0)
		return err_sys(err, "memfd_create");
	if (ftruncate(fd, (off_t)rec->size) < 0)
		return err_sys(err, "memfd: size %llu",
			       (unsigned long long)rec->size);
	return take_fd(&fd);
}

static bool owner_has_group(const struct restore_owner *o, uint32_t gid)
{
	if (o->uid == 0 || o->gid == gid)
		return true;
	for (size_t i = 0; i < o->ngroups; i++)
		if (o->groups[i] == gid)
			return true;
	return false;
}

static int set_owner(const struct restore_ctx *ctx, int fd,
		     const ShmemRecord *rec, struct err *err)
{
	const struct restore_owner *o = ctx->owner;

	if (o->uid != 0 &&
	    (rec->uid != o->uid || !owner_has_group(o, rec->gid)))
		return err_set(err, -EPERM,
			       "shared memory %u belongs to %u:%u, not to "
			       "the job's owner",
			       rec->object, rec->uid, rec->gid);
	if (fchown(fd, rec->uid, rec->gid) < 0)
		return err_sys(err, "shared memory: owner");
	if (fchmod(fd, rec->mode & 07777) < 0)
		return err_sys(err, "shared memory: mode");
	return 0;
}

static int shmem_restore(struct restore_ctx *ctx, const ProtobufCMessage *msg,
			 struct err *err)
{
	const ShmemRecord *rec = (const ShmemRecord *)msg;
	const struct restore_engine *e = ctx->engine;
	auto_close int fd = -EBADF;
	int r;

	/* The segment makes it. */
	if (e->find(e->arg, TAG_SYSV_SHM, rec->object))
		return 0;
	if (!rec->memfd && rec->size == 0)
		return err_set(err, -EBADMSG, "shared memory %u is empty",
			       rec->object);
	fd = rec->memfd ? make_memfd(rec, err) : make_anonymous(rec, err);
	if (fd < 0)
		return fd;
	if (rec->memfd) {
		r = set_owner(ctx, fd, rec, err);
		if (r < 0)
			return r;
	}
	r = e->set_data_fd(e->arg, rec->object, fd, err);
	if (r < 0)
		return r;
	return e->set_fd(e->arg, rec->object, take_fd(&fd), err);
}

/* Contents are in and all tasks have mapped it: now it may be sealed. */
static int shmem_finish(struct restore_ctx *ctx, struct restore_task *task,
			struct restore_thread *thread,
			const ProtobufCMessage *msg, struct err *err)
{
	const ShmemRecord *rec = (const ShmemRecord *)msg;
	int fd = ctx->engine->get_fd(ctx->engine->arg, rec->object);

	(void)task;
	(void)thread;
	if (!rec->memfd)
		return 0;
	/* Contents come in whole pages. */
	if (ftruncate(fd, (off_t)rec->size) < 0)
		return err_sys(err, "memfd %u: size", rec->object);
	if (!rec->seals)
		return 0;
	if (fcntl(fd, F_ADD_SEALS, rec->seals) < 0)
		return err_sys(err, "memfd %u: seals", rec->object);
	return 0;
}

const struct resource_ops res_shmem = {
	.name = "shmem",
	.saved = "shared anonymous memory, shared as before",
	.refused = "what a process outside the job shares",
	.tag = TAG_SHMEM,
	.scope = SCOPE_FILE,
	.stage = STAGE_OPEN,
	.match = shmem_match,
	.check_file = shmem_check,
	.dump_file = shmem_dump,
	.restore_file = shmem_restore,
	.stage2 = STAGE_LATE,
	.restore2 = shmem_finish,
};
