/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "engine/foreign_plan.h"
#include "engine/vdso.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "kernel/proc.h"
#include "util/cleanup.h"

/* A process of the job and what a search of its records needs. */
struct settling {
	const struct building *b;
	struct puppet *p;
	const struct plan_record *vmas;
	size_t nvmas;
	struct vma_list maps; /* as they are now */
};

static bool is_private(const VmaRecord *v, uint32_t prot)
{
	return v->kind == VMA_RECORD__KIND__ANON_PRIVATE && v->prot == prot;
}

static bool is_reserved(const struct settling *m, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < m->nvmas && start < end; i++) {
		const VmaRecord *v = (const VmaRecord *)m->vmas[i].msg;

		if (v->start <= start && v->end > start &&
		    is_private(v, PROT_NONE))
			start = v->end;
	}
	return start >= end;
}

static bool is_kernels(const struct vma *v)
{
	return strcmp(v->path, "[vdso]") == 0 ||
	       strncmp(v->path, "[vvar", 5) == 0;
}

/* Is there room around an image at home for what goes with the vDSO? */
static bool has_room(const struct settling *m, uint64_t home)
{
	uint64_t offset = home - m->p->vdso;

	for (size_t i = 0; i < m->maps.count; i++) {
		const struct vma *v = &m->maps.v[i];

		if (is_kernels(v) && v->start != m->p->vdso &&
		    !is_reserved(m, v->start + offset, v->end + offset))
			return false;
	}
	return true;
}

/*
 * What leads elsewhere must not become the kernel's while a thread is in it.
 * Then one image more leads to another, until the next time.
 */
static int can_go_home(const struct settling *m, const VmaRecord *v,
		       const struct vdso_image *own, bool *ret, struct err *err)
{
	bool in_use = false;
	int r = 0;

	*ret = false;
	if (!has_room(m, v->start))
		return 0;
	r = frames_lead_to(m->b, m->p, v->start, own, &in_use, err);
	*ret = !in_use;
	return r;
}

/* Where an image of the running kernel leads elsewhere; 0: nowhere. */
static int find_home(const struct settling *m, uint64_t *ret, struct err *err)
{
	struct vdso_image own;
	auto_free uint8_t *data = NULL;
	int r = vdso_own(&own, err);

	if (r < 0)
		return r;
	data = malloc(own.len);
	if (!data)
		return err_num(err, ENOMEM, "vDSO");
	*ret = 0;
	for (size_t i = 0; i < m->nvmas && !*ret; i++) {
		const VmaRecord *v = (const VmaRecord *)m->vmas[i].msg;
		bool good = false;

		if (v->end - v->start != own.len ||
		    !is_private(v, PROT_READ | PROT_EXEC))
			continue;
		r = remote_read(m->p->task.remote, v->start, data, own.len,
				err);
		if (r == 0 && vdso_was_redirected(data, &own))
			r = can_go_home(m, v, &own, &good, err);
		if (r < 0)
			return r;
		if (good)
			*ret = v->start;
	}
	return 0;
}

static int map_private(struct puppet *p, const VmaRecord *v, uint64_t prot,
		       struct err *err)
{
	int64_t value;
	int r;

	r = puppet_call(p, "map the recorded vDSO", &value, err, __NR_mmap,
			v->start, v->end - v->start, prot,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			UINT64_MAX, 0);
	if (r == 0 && (uint64_t)value != v->start)
		r = err_set(err, -EEXIST, "pid %d: no room for its vDSO",
			    p->task.ns_pid);
	return r;
}

static int fill_image(const PartRecord *part, struct puppet *p,
		      const VmaRecord *v, uint64_t base, struct err *err)
{
	struct vdso_target to = { .base = base };
	size_t len = part->vdso_image.len;
	auto_free uint8_t *copy = malloc(len);
	int r;

	if (!copy)
		return err_num(err, ENOMEM, "vDSO");
	memcpy(copy, part->vdso_image.data, len);
	to.random_size = vdso_random_size();
	r = vdso_own(&to.image, err);
	if (r == 0)
		r = vdso_redirect(copy, len, part->vdso_random, &to, err);
	return r < 0 ? r
		     : remote_write(p->task.remote, v->start, copy, len, err);
}

static int map_image(const struct settling *m, const VmaRecord *v,
		     uint64_t base, struct err *err)
{
	int64_t value;
	int r;

	r = map_private(m->p, v, PROT_READ | PROT_WRITE, err);
	if (r == 0)
		r = fill_image(m->b->plan->part, m->p, v, base, err);
	return r < 0 ? r
		     : puppet_call(m->p, "protect its vDSO", &value, err,
				   __NR_mprotect, v->start, v->end - v->start,
				   PROT_READ | PROT_EXEC, 0, 0, 0);
}

static int map_all(const struct settling *m, uint64_t base, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < m->nvmas && r == 0; i++) {
		const VmaRecord *v = (const VmaRecord *)m->vmas[i].msg;

		if (v->kind == VMA_RECORD__KIND__VDSO)
			r = map_image(m, v, base, err);
		else if (v->kind == VMA_RECORD__KIND__VVAR ||
			 v->kind == VMA_RECORD__KIND__VVAR_VCLOCK)
			r = map_private(m->p, v, PROT_NONE, err);
	}
	return r;
}

/* Over the image, which is no longer needed. */
static int go_home(const struct settling *m, uint64_t home, struct err *err)
{
	uint64_t offset = home - m->p->vdso;
	int64_t value;
	int r = 0;

	for (size_t i = 0; i < m->maps.count && r == 0; i++) {
		const struct vma *v = &m->maps.v[i];
		uint64_t len = v->end - v->start;

		if (is_kernels(v))
			r = puppet_call(m->p, v->path, &value, err, __NR_mremap,
					v->start, len, len,
					MREMAP_MAYMOVE | MREMAP_FIXED,
					v->start + offset, 0);
	}
	m->p->vdso = home;
	return r;
}

static int settle(struct settling *m, struct err *err)
{
	auto_close int proc = -EBADF;
	uint64_t home = 0;
	int r;

	m->vmas = plan_find(m->b->plan, TAG_VMA, (uint32_t)m->p->task.ns_pid,
			    &m->nvmas);
	r = proc_open(m->p->task.pid, 0, &proc, err);
	if (r == 0)
		r = maps_read_fast(proc, &m->maps, err);
	if (r == 0)
		r = find_home(m, &home, err);
	if (r == 0)
		r = map_all(m, home ? home : m->p->vdso, err);
	return r < 0 || !home ? r : go_home(m, home, err);
}

int foreign_settle(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && b->plan->foreign; i++) {
		struct settling m = { .b = b, .p = &b->puppets[i] };

		if (m.p->task.zombie)
			continue;
		r = settle(&m, err);
		maps_done(&m.maps);
		if (r < 0)
			return err_wrap(err, r, "pid %d", m.p->task.ns_pid);
	}
	return 0;
}
