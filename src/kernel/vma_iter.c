/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/vma_iter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/iterator.h"
#include "util/cleanup.h"

#define CONTEXT  "bpf_iter__task_vma"
#define MOST     (1u << 24)                      /* mappings */
#define SAVED_AT (-(int)sizeof(struct vma_seen)) /* from the frame pointer */

#define SAVE(p, from, field)                                                   \
	program_save(p, from, SAVED_AT + (int)offsetof(struct vma_seen, field))

static void load_vma(struct program *p, uint8_t to, const char *member)
{
	program_load(p, to, REG_OBJECT, "vm_area_struct", member, 8);
}

/* Of what REG_2 leads to, to REG_3. */
static void load_next(struct program *p, const char *structure,
		      const char *member)
{
	program_load(p, REG_3, REG_2, structure, member, 8);
}

static void save_all(struct program *p)
{
	load_vma(p, REG_2, "vm_start");
	SAVE(p, REG_2, start);
	load_vma(p, REG_2, "vm_end");
	SAVE(p, REG_2, end);
	load_vma(p, REG_2, "vm_flags");
	SAVE(p, REG_2, flags);
	load_vma(p, REG_2, "vm_policy");
	SAVE(p, REG_2, policy);
	load_vma(p, REG_2, "vm_ops");
	load_next(p, "vm_operations_struct", "get_policy");
	SAVE(p, REG_3, policies);
	load_next(p, "vm_operations_struct", "pagesize");
	SAVE(p, REG_3, page_size);
	load_vma(p, REG_2, "anon_vma");
	SAVE(p, REG_2, anon_vma);
	load_next(p, "anon_vma", "root");
	SAVE(p, REG_3, root);
	load_next(p, "anon_vma", "num_children");
	SAVE(p, REG_3, children);
}

/* Called for each mapping, and once more with none. */
static void assemble(struct program *p)
{
	size_t none;

	program_load(p, REG_OBJECT, REG_CTX, CONTEXT, "vma", 8);
	none = program_jump_if_zero(p, REG_OBJECT);
	save_all(p);
	program_write(p, CONTEXT, SAVED_AT, -SAVED_AT);
	program_land(p, none);
}

int vma_iter_open(void)
{
	return iterator_open("bpf_iter_task_vma", "jobcr_vmas", assemble);
}

/*
 * At the end the kernel begins its last piece once more, and would do so for
 * ever: the end is also where addresses do not ascend.
 */
static int read_piece(int fd, struct iterator_records *l, bool *ret_more)
{
	const struct vma_seen *v;
	size_t n;
	int r = iterator_read(fd, l, &n);

	if (r < 0)
		return r;
	v = (const struct vma_seen *)(void *)l->v + (l->count - n);
	*ret_more = n && (l->count == n || v->start >= v[-1].end);
	if (!*ret_more)
		l->count -= n;
	return 0;
}

int vma_iter_read(int iter_fd, pid_t pid, struct vma_seen **ret, size_t *count)
{
	auto_close int fd = iterator_run(iter_fd, (uint32_t)pid);
	struct iterator_records l = { .bytes = sizeof(**ret), .most = MOST };
	bool more = true;
	int r = fd < 0 ? fd : 0;

	while (r == 0 && more)
		r = read_piece(fd, &l, &more);
	if (r < 0) {
		free(l.v);
		return r;
	}
	*ret = (struct vma_seen *)(void *)l.v;
	*count = l.count;
	return 0;
}
