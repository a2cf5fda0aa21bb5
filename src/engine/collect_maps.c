// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that are mapped or executed and shared memory, each once for the
 * whole tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "engine/collect.h"
#include "model/mapping.h"
#include "util/cleanup.h"

/* Number it; the first time it is seen, remember how to open it. */
static int add_mapped(struct collection *c, uint32_t task, const char *path,
		      const struct collected_file *like, uint32_t *ret_object,
		      struct err *err)
{
	enum object_kind kind = like->shmem ? OBJECT_SHMEM : OBJECT_MAPPED_FILE;
	struct collected_file file = *like;
	bool is_new;
	int r;

	r = object_get(c->objects, kind, like->dev, like->ino,
		       like->shmem ? 0 : like->flags, &file.object, &is_new,
		       err);
	if (r < 0)
		return r;
	*ret_object = file.object;
	if (!is_new)
		return 0;
	file.task = task;
	file.fd = -1;
	file.open_path = strdup(path);
	if (!file.open_path)
		return err_set(err, -ENOMEM, "mapped files");
	r = collection_add_file(c, &file, err);
	if (r < 0)
		free(file.open_path);
	return r;
}

/* Beyond some, what others share there is not looked for. */
static void note_mount(struct collection *c, dev_t dev)
{
	size_t i = 0;

	while (i < c->nmounts && c->mounts[i] != dev)
		i++;
	if (i == c->nmounts && i < COLLECTION_MOUNTS)
		c->mounts[c->nmounts++] = dev;
}

static int collect_vma(struct collection *c, uint32_t task, const struct vma *v,
		       uint32_t *ret_object, struct err *err)
{
	const char *why, *remedy;
	enum mapping_kind kind =
		mapping_classify(v, &c->devices, &why, &remedy);
	struct collected_file like = {
		.dev = makedev(v->dev_major, v->dev_minor),
		.ino = v->inode,
		.flags = (uint32_t)mapping_access_mode(v),
		.shmem = kind == MAPPING_SHMEM,
	};
	char path[64];

	c->uprobes |= mapping_is_uprobes(v);
	/* Its inode's number is its id, which other namespaces have too. */
	if (kind == MAPPING_SYSV)
		return object_get(c->objects, OBJECT_SYSV_SHM, v->inode, 0, 0,
				  ret_object, NULL, err);
	if (kind != MAPPING_FILE && kind != MAPPING_SHMEM)
		return 0;
	if (kind == MAPPING_FILE && (v->flags & VMA_HUGETLB))
		note_mount(c, like.dev);
	if (like.shmem)
		like.flags = O_RDWR;
	(void)snprintf(path, sizeof(path), "map_files/%llx-%llx",
		       (unsigned long long)v->start,
		       (unsigned long long)v->end);
	return add_mapped(c, task, path, &like, ret_object, err);
}

static int collect_exe(struct collection *c, uint32_t task, struct err *err)
{
	struct collected_task *t = &c->tasks[task];
	struct collected_file like = { .flags = O_RDONLY };
	struct stat st;
	int r = proc_stat_link(t->view.proc_fd, "exe", &st, err);

	if (r < 0)
		return collection_gone(c, r) ? 0 : r;
	like.dev = st.st_dev;
	like.ino = st.st_ino;
	return add_mapped(c, task, "exe", &like, &t->view.exe_object, err);
}

static int collect_task_mappings(struct collection *c, uint32_t task,
				 struct err *err)
{
	struct collected_task *t = &c->tasks[task];
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->vmas.count; i++)
		r = collect_vma(c, task, &t->vmas.v[i], &t->vma_object[i], err);
	return r < 0 ? r : collect_exe(c, task, err);
}

/* Memory behind descriptors of memfds, mapped or not. */
static int collect_memfds(struct collection *c, struct err *err)
{
	size_t count = c->nfiles;
	uint32_t object;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct collected_file *f = &c->files[i];
		struct collected_file like = {
			.dev = f->dev,
			.ino = f->ino,
			.flags = O_RDWR,
			.shmem = true,
		};
		char path[48];

		if (f->fd < 0 || !mapping_is_memory(&c->devices, f->dev))
			continue;
		(void)snprintf(path, sizeof(path), "%sfd/%d",
			       f->travels ? "/proc/self/" : "", f->fd);
		r = add_mapped(c, f->task, path, &like, &object, err);
	}
	return r;
}

/* Memory with a name: where others may map it too. */
static void note_named_memory(struct collection *c)
{
	const int proc_fd = c->tasks[0].view.proc_fd;
	struct stat st, root;

	if (fstatat(proc_fd, "root/dev/shm", &st, 0) == 0 &&
	    fstatat(proc_fd, "root/", &root, 0) == 0 &&
	    st.st_dev != root.st_dev)
		note_mount(c, st.st_dev);
}

int collect_mappings(struct collection *c, struct err *err)
{
	int r;

	note_named_memory(c);

	r = collect_memfds(c, err);
	for (size_t i = 0; r == 0 && i < c->ntasks; i++) {
		if (c->tasks[i].frozen->zombie)
			continue;
		r = collect_task_mappings(c, (uint32_t)i, err);
		if (r < 0)
			err_wrap(err, r, "process %d", c->tasks[i].view.ns_pid);
	}
	return r;
}
