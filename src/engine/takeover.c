/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The puppet leaves its own memory: a system call instruction and a buffer
 * are put where neither it nor the job has anything (the agent), all else is
 * unmapped, and the vDSO goes where the job knows it.  The program file must
 * not be mapped any more when the job's exe link is set.
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

#define AGENT_BUFFER (64ull << 10)
#define AGENT_CODE   ((uint64_t)IMAGE_PAGE)
#define LOWEST       (4ull << 30) /* away from old programs' addresses */
#define HIGHEST      0x7ffff0000000ull
#define USER_END     0x7ffffffff000ull
/* More than the gap the kernel wants below a stack, and room for growth. */
#define MARGIN     (16ull << 20)
#define WIDEST_MIN (1ull << 30)

struct range {
	uint64_t start, end;
};

/* Mappings that the kernel made and that move as they are. */
struct special {
	const char *path;
	VmaRecord__Kind kind;
	uint64_t from, len, parked, to;
};
#define SPECIALS 3
#define VDSO     2 /* which of them it is */

static void find_specials(const struct vma_list *maps, struct special *s)
{
	for (size_t i = 0; i < maps->count; i++)
		for (size_t k = 0; k < SPECIALS; k++)
			if (strcmp(maps->v[i].path, s[k].path) == 0) {
				s[k].from = maps->v[i].start;
				s[k].len = maps->v[i].end - s[k].from;
			}
}

static void find_places(const struct plan_record *vmas, size_t nvmas,
			struct special *s)
{
	const VmaRecord *rec;

	for (size_t i = 0; i < nvmas; i++) {
		rec = (const VmaRecord *)vmas[i].msg;
		for (size_t k = 0; k < SPECIALS; k++)
			if (rec->kind == s[k].kind &&
			    rec->end - rec->start == s[k].len)
				s[k].to = rec->start;
	}
}

static int count_specials(const struct plan_record *vmas, size_t nvmas,
			  const struct special *s, struct err *err)
{
	const VmaRecord *rec;

	for (size_t i = 0; i < nvmas; i++) {
		rec = (const VmaRecord *)vmas[i].msg;
		for (size_t k = 0; k < SPECIALS; k++)
			if (rec->kind == s[k].kind && rec->start != s[k].to)
				return err_set(err, -ENOTSUP,
					       "pid %d: %s is not as this "
					       "kernel maps it",
					       rec->pid, s[k].path);
	}
	return 0;
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

static int find_gap(const struct range *busy, size_t n, uint64_t size,
		    uint64_t *ret, struct err *err)
{
	uint64_t at = LOWEST;

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
			   AGENT_CODE, PROT_READ | PROT_EXEC, 0, 0, 0);
}

static int move_in(struct puppet *p, uint64_t start, uint64_t size,
		   struct err *err)
{
	int64_t value;
	int r;

	r = puppet_call(p, "map the builder", &value, err, __NR_mmap, start,
			size, PROT_READ | PROT_WRITE,
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
	p->task.agent_end = start + AGENT_CODE + AGENT_BUFFER;
	remote_move(p->task.remote, start, start + AGENT_CODE, AGENT_BUFFER);
	return 0;
}

static int move_special(struct puppet *p, const struct special *s,
			uint64_t from, uint64_t to, struct err *err)
{
	int64_t value;

	return puppet_call(p, s->path, &value, err, __NR_mremap, from, s->len,
			   s->len, MREMAP_MAYMOVE | MREMAP_FIXED, to, 0);
}

static int unmap(struct puppet *p, uint64_t start, uint64_t end,
		 struct err *err)
{
	int64_t value;

	if (start >= end)
		return 0;
	return puppet_call(p, "munmap", &value, err, __NR_munmap, start,
			   end - start, 0, 0, 0, 0);
}

static bool is_special(const struct special *s, uint64_t start)
{
	for (size_t k = 0; k < SPECIALS; k++)
		if (s[k].to && s[k].from == start)
			return true;
	return false;
}

static int move_specials(struct puppet *p, struct special *s, bool home,
			 struct err *err)
{
	int r = 0;

	for (size_t k = 0; k < SPECIALS && r == 0; k++)
		if (s[k].to && !home)
			r = move_special(p, &s[k], s[k].from, s[k].parked, err);
		else if (s[k].to && s[k].to != s[k].parked)
			r = move_special(p, &s[k], s[k].parked, s[k].to, err);
	return r;
}

/* maps are from before the agent; the vsyscall page is no mapping. */
static int leave_memory(struct puppet *p, const struct vma_list *maps,
			struct special *s, struct err *err)
{
	int r;

	r = move_specials(p, s, false, err);
	for (size_t i = 0; i < maps->count && r == 0; i++)
		if (!is_special(s, maps->v[i].start) &&
		    maps->v[i].start < USER_END)
			r = unmap(p, maps->v[i].start, maps->v[i].end, err);
	if (r == 0)
		r = move_specials(p, s, true, err);
	p->vdso = s[VDSO].to;
	return r;
}

/* The kernel's go where the job knows them, by way of the agent's gap. */
static int place_as_recorded(const struct plan_record *vmas, size_t nvmas,
			     struct special *s, uint64_t *size, struct err *err)
{
	find_places(vmas, nvmas, s);
	for (size_t k = 0; k < SPECIALS; k++) {
		s[k].parked = *size;
		*size += s[k].len;
	}
	return count_specials(vmas, nvmas, s, err);
}

/* The job knows others: these lie elsewhere, as they lie to each other. */
static int place_apart(struct special *s, uint64_t middle, struct err *err)
{
	if (!s[VDSO].len)
		return err_set(err, -ENOTSUP, "this kernel maps no vDSO");
	for (size_t k = 0; k < SPECIALS; k++)
		if (s[k].len)
			s[k].parked = s[k].to =
				middle + (s[k].from - s[VDSO].from);
	return 0;
}

/* Where the vDSO was parked there may be something left, or nothing. */
static int take_over(const struct plan *plan, struct puppet *p,
		     const struct vma_list *maps, struct err *err)
{
	struct special s[SPECIALS] = {
		{ .path = "[vvar]", .kind = VMA_RECORD__KIND__VVAR },
		{ .path = "[vvar_vclock]",
		  .kind = VMA_RECORD__KIND__VVAR_VCLOCK },
		{ .path = "[vdso]", .kind = VMA_RECORD__KIND__VDSO },
	};
	uint64_t size = AGENT_CODE + AGENT_BUFFER, start = 0, middle = 0;
	const struct plan_record *vmas;
	auto_free struct range *busy = NULL;
	size_t nvmas, nbusy;
	int r;

	vmas = plan_find(plan, TAG_VMA, (uint32_t)p->task.ns_pid, &nvmas);
	busy = list_busy(maps, vmas, nvmas, &nbusy, err);
	if (!busy)
		return err->code;
	find_specials(maps, s);
	if (!plan->foreign)
		r = place_as_recorded(vmas, nvmas, s, &size, err);
	else
		r = find_middle(busy, nbusy, &middle, err);
	if (r == 0 && plan->foreign)
		r = place_apart(s, middle, err);
	if (r == 0)
		r = find_gap(busy, nbusy, size, &start, err);
	if (r < 0)
		return r;
	for (size_t k = 0; k < SPECIALS && !plan->foreign; k++)
		s[k].parked += start;
	r = move_in(p, start, size, err);
	if (r == 0)
		r = leave_memory(p, maps, s, err);
	return r < 0 ? r : unmap(p, p->task.agent_end, start + size, err);
}

static int build_one(const struct building *b, struct puppet *p,
		     struct err *err)
{
	struct vma_list maps = { 0 };
	auto_close int proc = -EBADF;
	int r;

	r = proc_open(p->task.pid, 0, &proc, err);
	if (r == 0)
		r = maps_read_fast(proc, &maps, err);
	if (r == 0)
		r = take_over(b->plan, p, &maps, err);
	maps_done(&maps);
	return r;
}

int build_memory(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++) {
		if (b->puppets[i].task.zombie)
			continue;
		r = build_one(b, &b->puppets[i], err);
		if (r < 0)
			return err_wrap(err, r, "pid %d: memory",
					b->puppets[i].task.ns_pid);
	}
	return r;
}
