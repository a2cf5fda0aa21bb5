/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The puppet leaves its own memory: a system call instruction and a buffer
 * are put where neither it nor the job has anything (the agent), the vDSO is
 * parked behind them, and all else is unmapped.  Later the vDSO goes where
 * the job knows it.  The program file must not be mapped any more when the
 * job's exe link is set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "engine/building.h"
#include "images/limits.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "parasite/puppet.h"
#include "util/cleanup.h"

#define LOWEST   (4ull << 30) /* away from old programs' addresses */
#define HIGHEST  0x7ffff0000000ull
#define USER_END 0x7ffffffff000ull
/* More than the gap the kernel wants below a stack, and room for growth. */
#define MARGIN     (16ull << 20)
#define WIDEST_MIN (1ull << 30)

struct range {
	uint64_t start, end;
};

/* Mappings that the kernel made and that move as they are. */
static const struct {
	const char *path;
	VmaRecord__Kind kind;
} specials[PUPPET_SPECIALS] = {
	{ "[vvar]", VMA_RECORD__KIND__VVAR },
	{ "[vvar_vclock]", VMA_RECORD__KIND__VVAR_VCLOCK },
	{ "[vdso]", VMA_RECORD__KIND__VDSO },
};
#define VDSO 2 /* which of them it is */

/* Which of them a mapping is; PUPPET_SPECIALS: none. */
static size_t special_of(const struct vma *v)
{
	size_t k = 0;

	while (k < PUPPET_SPECIALS && strcmp(v->path, specials[k].path) != 0)
		k++;
	return k;
}

static int order_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* All that is mapped now or will be, ascending; owned by the caller. */
static struct range *list_busy(const struct vma_list *maps,
			       const struct plan_record *vmas, size_t nvmas,
			       size_t *ret_count, struct err *err)
{
	struct range *busy = calloc(maps->count + nvmas + 1, sizeof(*busy));
	size_t n = 0;

	if (!busy) {
		(void)err_num(err, ENOMEM, "map of the address space");
		return NULL;
	}
	for (size_t i = 0; i < maps->count; i++)
		busy[n++] = (struct range){ maps->v[i].start, maps->v[i].end };
	for (size_t i = 0; i < nvmas; i++)
		busy[n++] = (struct range){
			((const VmaRecord *)vmas[i].msg)->start,
			((const VmaRecord *)vmas[i].msg)->end,
		};
	qsort(busy, n, sizeof(*busy), order_ranges);
	*ret_count = n;
	return busy;
}

static int find_gap(const struct vma_list *maps, const struct plan_record *vmas,
		    size_t nvmas, uint64_t size, uint64_t *ret, struct err *err)
{
	uint64_t at = LOWEST;
	size_t n;
	auto_free struct range *busy = list_busy(maps, vmas, nvmas, &n, err);

	if (!busy)
		return err->code;
	for (size_t i = 0; i < n; i++) {
		if (busy[i].end <= at)
			continue;
		if (busy[i].start >= at + size + 2 * MARGIN)
			break;
		at = busy[i].end;
	}
	if (at + size + 2 * MARGIN > HIGHEST)
		return err_set(err, -ENOMEM, "no room for the builder");
	*ret = at + MARGIN;
	return 0;
}

/* What stays is put where nothing that grows gets to. */
static int find_middle(const struct range *busy, size_t n, uint64_t *ret,
		       struct err *err)
{
	uint64_t at = LOWEST, best = 0;

	for (size_t i = 0; i <= n; i++) {
		uint64_t next = i < n ? busy[i].start : HIGHEST;

		if (next > HIGHEST)
			next = HIGHEST;
		if (next > at && next - at > best) {
			best = next - at;
			*ret = (at + best / 2) & ~(uint64_t)(IMAGE_PAGE - 1);
		}
		if (i < n && busy[i].end > at)
			at = busy[i].end;
	}
	if (best < WIDEST_MIN)
		return err_set(err, -ENOMEM,
			       "no room for the vDSO of this kernel");
	return 0;
}

/* Copied from where calls are made now. */
static int copy_code(struct puppet *p, uint64_t from, uint64_t to,
		     struct err *err)
{
	uint8_t code[PUPPET_CODE_SIZE];
	int64_t value;
	int r;

	r = remote_read(p->task.remote, from, code, sizeof(code), err);
	if (r == 0)
		r = remote_write(p->task.remote, to, code, sizeof(code), err);
	if (r < 0)
		return r;
	return puppet_call(p, "protect code", &value, err, __NR_mprotect, to,
			   PUPPET_AGENT_CODE, PROT_READ | PROT_EXEC, 0, 0, 0);
}

static int move_in(struct puppet *p, struct err *err)
{
	const uint64_t start = p->home.start;
	int64_t value;
	int r;

	r = puppet_call(p, "map the builder", &value, err, __NR_mmap, start,
			p->home.end - start, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			UINT64_MAX, 0);
	if (r == 0 && (uint64_t)value != start)
		r = err_set(err, -EEXIST, "pid %d: no room for the builder",
			    p->task.ns_pid);
	if (r == 0)
		r = copy_code(p, PUPPET_SYSCALL, start, err);
	if (r < 0)
		return r;
	p->task.agent_start = start;
	p->task.agent_end = start + PUPPET_AGENT_CODE + PUPPET_AGENT_BUFFER;
	remote_move(p->task.remote, start, start + PUPPET_AGENT_CODE,
		    PUPPET_AGENT_BUFFER);
	return 0;
}

static int move_special(struct puppet *p, size_t k, uint64_t from, uint64_t to,
			struct err *err)
{
	return remote_later(p->task.remote, specials[k].path, to, err,
			    __NR_mremap, from, p->home.len[k], p->home.len[k],
			    MREMAP_MAYMOVE | MREMAP_FIXED, to, 0);
}

static int unmap(struct puppet *p, uint64_t start, uint64_t end,
		 struct err *err)
{
	if (start >= end)
		return 0;
	return remote_later(p->task.remote, "munmap", 0, err, __NR_munmap,
			    start, end - start, 0, 0, 0, 0);
}

/* maps are from before the agent; the vsyscall page is no mapping. */
static int leave_memory(struct puppet *p, const struct vma_list *maps,
			struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < maps->count && r == 0; i++) {
		const struct vma *v = &maps->v[i];
		size_t k = special_of(v);

		if (k < PUPPET_SPECIALS)
			r = move_special(p, k, v->start, p->home.parked[k],
					 err);
		else if (v->start < USER_END)
			r = unmap(p, v->start, v->end, err);
	}
	return r;
}

static int move_out(struct puppet *p, const struct vma_list *maps,
		    const struct plan_record *vmas, size_t nvmas,
		    struct err *err)
{
	struct puppet_home home = { 0 };
	uint64_t size = PUPPET_AGENT_CODE + PUPPET_AGENT_BUFFER;
	int r;

	for (size_t i = 0; i < maps->count; i++) {
		size_t k = special_of(&maps->v[i]);

		if (k == PUPPET_SPECIALS)
			continue;
		home.from[k] = maps->v[i].start;
		home.len[k] = maps->v[i].end - maps->v[i].start;
		home.parked[k] = size;
		size += home.len[k];
	}
	r = find_gap(maps, vmas, nvmas, size, &home.start, err);
	if (r < 0)
		return r;
	home.end = home.start + size;
	for (size_t k = 0; k < PUPPET_SPECIALS; k++)
		home.parked[k] += home.start;
	p->home = home;
	r = move_in(p, err);
	if (r == 0)
		r = leave_memory(p, maps, err);
	return r < 0 ? r : remote_flush(p->task.remote, err);
}

int puppet_vacate(struct puppet *p, const struct plan_record *vmas,
		  size_t nvmas, struct err *err)
{
	struct vma_list maps = { 0 };
	auto_close int proc = -EBADF;
	int r;

	if (p->home.start)
		return 0;
	r = proc_open(p->task.pid, 0, &proc, err);
	if (r == 0)
		r = maps_read_fast(proc, &maps, err);
	if (r == 0)
		r = move_out(p, &maps, vmas, nvmas, err);
	maps_done(&maps);
	return r;
}

/* Each mapping of the kernel that the job knows is there as it knows it. */
static int check_specials(const struct puppet *p,
			  const struct plan_record *vmas, size_t nvmas,
			  uint64_t *to, struct err *err)
{
	for (size_t i = 0; i < nvmas; i++) {
		const VmaRecord *rec = (const VmaRecord *)vmas[i].msg;

		for (size_t k = 0; k < PUPPET_SPECIALS; k++) {
			if (rec->kind != specials[k].kind)
				continue;
			if (to[k] || rec->end - rec->start != p->home.len[k])
				return err_set(err, -ENOTSUP,
					       "%s is not as this kernel maps "
					       "it",
					       specials[k].path);
			to[k] = rec->start;
		}
	}
	return 0;
}

/* The job knows others: these lie elsewhere, as they lay to each other. */
static int place_apart(const struct puppet *p, const struct plan_record *vmas,
		       size_t nvmas, uint64_t *to, struct err *err)
{
	const struct puppet_home *home = &p->home;
	struct vma own = { .start = home->start, .end = home->end };
	const struct vma_list maps = { .v = &own, .count = 1 };
	auto_free struct range *busy = NULL;
	uint64_t middle = 0;
	size_t n;
	int r;

	if (!home->len[VDSO])
		return err_set(err, -ENOTSUP, "this kernel maps no vDSO");
	busy = list_busy(&maps, vmas, nvmas, &n, err);
	if (!busy)
		return err->code;
	r = find_middle(busy, n, &middle, err);
	for (size_t k = 0; k < PUPPET_SPECIALS && r == 0; k++)
		if (home->len[k])
			to[k] = middle + (home->from[k] - home->from[VDSO]);
	return r;
}

int puppet_settle(struct puppet *p, const struct plan_record *vmas,
		  size_t nvmas, bool apart, struct err *err)
{
	uint64_t to[PUPPET_SPECIALS] = { 0 };
	int r;

	r = apart ? place_apart(p, vmas, nvmas, to, err)
		  : check_specials(p, vmas, nvmas, to, err);
	if (r == 0)
		r = puppet_enter(p, &p->task.threads[0], err);
	for (size_t k = 0; k < PUPPET_SPECIALS && r == 0; k++)
		if (to[k])
			r = move_special(p, k, p->home.parked[k], to[k], err);
	if (r == 0)
		r = unmap(p, p->task.agent_end, p->home.end, err);
	p->vdso = to[VDSO];
	return r < 0 ? r : remote_flush(p->task.remote, err);
}
