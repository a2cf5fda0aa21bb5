/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where remote calls happen in a process.
 *
 * Code: `syscall; ret` ends every getpid() of every C library and runtime,
 * and `mov $15; syscall` is what signal handlers return to.  (The longer
 * `syscall; cmp; jae; ret` of libc is not good enough: a failing call would
 * go on to set errno.)
 *
 * Memory: should the tracer die, what it wrote there stays.  The far end of
 * a stack may hold anything, since a signal may write there at any time; so
 * that is where to look first, and pages that were never touched are best.
 * Other memory comes last: a program may count on fresh pages being zero.
 */
#include "inject/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel/maps.h"
#include "kernel/written.h"
#include "kernel/proc.h"
#include "util/cleanup.h"

#define CHUNK   65536u
#define OVERLAP 16u
/* What a thread may have below its stack pointer (128), and then some. */
#define STACK_GAP 8192u

struct process {
	pid_t pid;
	uint64_t rsp;
	int proc_fd, pagemap_fd;
	const struct place_rule *rule;
	struct vma_list vmas; /* without flags */
};

static ssize_t read_memory(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec here = { buf, len };
	struct iovec there = { (void *)(uintptr_t)addr, len };

	return process_vm_readv(pid, &here, 1, &there, 1, 0);
}

static const uint8_t code_call[] = { 0x0f, 0x05, 0xc3 };
static const uint8_t code_back_long[] = { 0x48, 0xc7, 0xc0, 0x0f, 0,
					  0,    0,    0x0f, 0x05 };
static const uint8_t code_back[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };

/* What the kernel calls the place of a call is the end of its instruction. */
static const struct pattern {
	const uint8_t *code;
	size_t len;
	unsigned int end;
} call_pattern = { code_call, sizeof(code_call), 2 }, back_patterns[] = {
	{ code_back_long, sizeof(code_back_long), sizeof(code_back_long) },
	{ code_back, sizeof(code_back), sizeof(code_back) },
};

static bool may_use(const struct process *proc, uint64_t ip)
{
	return !proc->rule || proc->rule->allows(proc->rule->arg, ip);
}

/* The first in data, which is at addr, that may be used. */
static bool search_pattern(const struct process *proc, const struct pattern *p,
			   const uint8_t *data, size_t len, uint64_t addr,
			   const struct vma *v, struct place_code *ret)
{
	const uint8_t *at = data, *hit;

	while ((hit = memmem(at, len - (size_t)(at - data), p->code, p->len))) {
		uint64_t found = addr + (uint64_t)(hit - data);

		at = hit + 1;
		if (!may_use(proc, found + p->end))
			continue;
		*ret = (struct place_code){
			.addr = found,
			.len = p->end,
			.inode = v->inode,
			.offset = v->offset + (found - v->start),
			.dev_major = v->dev_major,
			.dev_minor = v->dev_minor,
		};
		return true;
	}
	return false;
}

static void search(const struct process *proc, const uint8_t *data, size_t len,
		   uint64_t addr, const struct vma *v, struct place *p)
{
	if (!p->call.addr)
		(void)search_pattern(proc, &call_pattern, data, len, addr, v,
				     &p->call);
	for (size_t i = 0; i < ARRAY_SIZE(back_patterns); i++)
		if (!p->restorer.addr)
			(void)search_pattern(proc, &back_patterns[i], data, len,
					     addr, v, &p->restorer);
}

static void search_vma(const struct process *proc, const struct vma *v,
		       uint8_t *buf, struct place *p)
{
	uint64_t addr = v->start;

	while (addr < v->end && !(p->call.addr && p->restorer.addr)) {
		size_t want = v->end - addr < CHUNK ? v->end - addr : CHUNK;
		ssize_t n = read_memory(proc->pid, addr, buf, want);

		if (n <= (ssize_t)OVERLAP)
			return;
		search(proc, buf, (size_t)n, addr, v, p);
		addr += (size_t)n;
		if (addr < v->end)
			addr -= OVERLAP;
	}
}

/* Read-only code only: what a program writes itself may change. */
static bool is_code(const struct vma *v)
{
	return (v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) ==
		       (PROT_READ | PROT_EXEC) &&
	       strcmp(v->path, "[vsyscall]");
}

static bool is_libc(const struct vma *v)
{
	const char *base = strrchr(v->path, '/');

	return base &&
	       (!strncmp(base, "/libc.", 6) || !strncmp(base, "/libc-", 6) ||
		!strncmp(base, "/ld-musl", 8));
}

static bool is_at(const struct process *proc, uint64_t addr,
		  const uint8_t *code, size_t len)
{
	uint8_t buf[sizeof(code_back_long)];

	return read_memory(proc->pid, addr, buf, len) == (ssize_t)len &&
	       !memcmp(buf, code, len);
}

/* The same instruction of the same file in this process; 0: it has none. */
static uint64_t same_code(const struct process *proc,
			  const struct place_code *c)
{
	for (size_t i = 0; i < proc->vmas.count; i++) {
		const struct vma *v = &proc->vmas.v[i];

		if (v->inode == c->inode && v->dev_major == c->dev_major &&
		    v->dev_minor == c->dev_minor && is_code(v) &&
		    c->offset >= v->offset &&
		    c->offset - v->offset < v->end - v->start)
			return v->start + (c->offset - v->offset);
	}
	return 0;
}

static bool find_like(const struct process *proc, const struct place *like,
		      struct place *p)
{
	uint64_t call, back;

	if (!like || !like->call.inode || !like->restorer.inode)
		return false;
	call = same_code(proc, &like->call);
	back = same_code(proc, &like->restorer);
	if (!call || !back || !may_use(proc, call + like->call.len) ||
	    !may_use(proc, back + like->restorer.len) ||
	    !is_at(proc, call, code_call, sizeof(code_call)) ||
	    !(is_at(proc, back, code_back_long, sizeof(code_back_long)) ||
	      is_at(proc, back, code_back, sizeof(code_back))))
		return false;
	p->call = like->call;
	p->call.addr = call;
	p->restorer = like->restorer;
	p->restorer.addr = back;
	return true;
}

static int find_code(const struct process *proc, const struct place *like,
		     struct place *p, struct err *err)
{
	auto_free uint8_t *buf = NULL;

	if (find_like(proc, like, p))
		return 0;
	buf = malloc(CHUNK);
	if (!buf)
		return err_num(err, ENOMEM, "code for remote calls");
	/* The likely ones first: other text may be huge. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < proc->vmas.count; i++) {
			const struct vma *v = &proc->vmas.v[i];

			if (is_code(v) && is_libc(v) == (pass == 0))
				search_vma(proc, v, buf, p);
		}
	}
	if (!p->call.addr)
		return err_set(err, -ENOTSUP,
			       "no `syscall; ret` in its code: it has no C "
			       "library that jobcr could use");
	if (!p->restorer.addr)
		return err_set(err, -ENOTSUP,
			       "no call of rt_sigreturn in its code: it has no "
			       "C library that jobcr could use");
	return 0;
}

static bool is_untouched(const struct process *proc, uint64_t start)
{
	struct page_run run;
	struct err ignored;
	uint64_t next;
	size_t n;

	return pagemap_scan(proc->pagemap_fd, PAGES_OWN, start,
			    start + PLACE_SCRATCH, &run, 1, &n, &next,
			    &ignored) == 0 &&
	       n == 0 && next >= start + PLACE_SCRATCH;
}

/* Where the kernel looks at each page, what lies far away takes long. */
#define HOLE_WINDOW (1ull << 30)

/* The first hole in [start, end) that was never touched; 0: none. */
static uint64_t find_hole(const struct process *proc, uint64_t start,
			  uint64_t end)
{
	while (end > start && end - start >= PLACE_SCRATCH) {
		struct page_run run;
		struct err ignored;
		uint64_t next, limit = end;
		size_t n;

		if (end - start > HOLE_WINDOW)
			limit = start + HOLE_WINDOW;
		if (pagemap_scan(proc->pagemap_fd, PAGES_OWN, start, limit,
				 &run, 1, &n, &next, &ignored) < 0)
			return 0;
		if (n == 0 || run.start - start >= PLACE_SCRATCH)
			return start;
		start = run.end;
	}
	return 0;
}

static bool is_zero(const struct process *proc, uint64_t start)
{
	auto_free char *data = malloc(PLACE_SCRATCH);

	return data &&
	       read_memory(proc->pid, start, data, PLACE_SCRATCH) ==
		       PLACE_SCRATCH &&
	       !data[0] && !memcmp(data, data + 1, PLACE_SCRATCH - 1);
}

static bool is_plain(const struct vma *v)
{
	return v->prot == (PROT_READ | PROT_WRITE) && !v->shared && !v->inode &&
	       v->end - v->start >= PLACE_SCRATCH &&
	       !(v->flags &
		 (VMA_UFFD | VMA_DROPPABLE | VMA_HUGETLB | VMA_SHADOW_STACK |
		  VMA_IO | VMA_PFNMAP | VMA_WIPEONFORK));
}

/*
 * The far end of the main stack.  Below the stack pointer nothing is alive,
 * whatever is found there; when the pointer is elsewhere (an interpreter that
 * switches stacks) only what holds nothing is taken.
 */
static uint64_t on_main_stack(const struct process *proc)
{
	for (size_t i = 0; i < proc->vmas.count; i++) {
		const struct vma *v = &proc->vmas.v[i];

		if (strcmp(v->path, "[stack]") || !is_plain(v))
			continue;
		if (proc->rsp >= v->start && proc->rsp < v->end)
			return proc->rsp - v->start >= PLACE_SCRATCH + STACK_GAP
				       ? v->start
				       : 0;
		if (is_untouched(proc, v->start) || is_zero(proc, v->start))
			return v->start;
	}
	return 0;
}

static uint64_t on_own_stack(const struct process *proc)
{
	const struct vma *v = maps_find(&proc->vmas, proc->rsp);

	if (!v || !is_plain(v) || proc->rsp - v->start < STACK_GAP)
		return 0;
	return find_hole(proc, v->start,
			 (proc->rsp - STACK_GAP) & ~(uint64_t)4095);
}

/* What jobcr itself watches lets writes through. */
static bool may_write(const struct process *proc, const struct vma *v)
{
	struct page_run run;
	uint64_t next;
	size_t n;

	return !(v->flags & VMA_UFFD_WRITES) ||
	       written_scan(proc->pagemap_fd, v->start, v->end, false, &run, 1,
			    &n, &next) == 0;
}

/* A hole in any private anonymous mapping. */
static uint64_t elsewhere(const struct process *proc)
{
	struct vma_list vmas = { 0 };
	struct err ignored;
	uint64_t at = 0;

	/* smaps takes long, but here the flags matter. */
	if (maps_read(proc->proc_fd, &vmas, &ignored) < 0)
		return 0;
	for (size_t i = vmas.count; i-- > 0 && !at;) {
		const struct vma *v = &vmas.v[i];

		if (is_plain(v) && may_write(proc, v) &&
		    (!*v->path || !strcmp(v->path, "[heap]")))
			at = find_hole(proc, v->start, v->end);
	}
	maps_done(&vmas);
	return at;
}

static int find_scratch(const struct process *proc, struct place *p,
			struct err *err)
{
	uint8_t *saved;

	p->scratch = on_main_stack(proc);
	if (!p->scratch)
		p->scratch = on_own_stack(proc);
	if (!p->scratch)
		p->scratch = elsewhere(proc);
	if (!p->scratch)
		return err_set(err, -ENOTSUP,
			       "no memory that jobcr could use for a moment "
			       "(%u bytes of a stack or never touched)",
			       PLACE_SCRATCH);
	saved = calloc(1, PLACE_SCRATCH);
	if (!saved)
		return err_num(err, ENOMEM, "scratch memory");
	if (!is_untouched(proc, p->scratch) &&
	    read_memory(proc->pid, p->scratch, saved, PLACE_SCRATCH) !=
		    PLACE_SCRATCH) {
		free(saved);
		return err_sys(err, "read of its stack");
	}
	p->saved = saved;
	return 0;
}

int place_find(pid_t pid, uint64_t rsp, const struct place *like,
	       const struct place_rule *rule, struct place *ret,
	       struct err *err)
{
	struct process proc = {
		.pid = pid, .rsp = rsp, .pagemap_fd = -EBADF, .rule = rule
	};
	auto_close int proc_fd = -EBADF;
	struct place p = { 0 };
	int r;

	r = proc_open(pid, 0, &proc_fd, err);
	if (r < 0)
		return r;
	r = maps_read_fast(proc_fd, &proc.vmas, err);
	if (r < 0)
		return r;
	proc.proc_fd = proc_fd;
	proc.pagemap_fd = openat(proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	if (proc.pagemap_fd < 0)
		r = err_sys(err, "pagemap");
	r = r < 0 ? r : find_code(&proc, like, &p, err);
	r = r < 0 ? r : find_scratch(&proc, &p, err);
	if (proc.pagemap_fd >= 0)
		close(proc.pagemap_fd);
	maps_done(&proc.vmas);
	if (r == 0)
		*ret = p;
	return r;
}

void place_done(struct place *p)
{
	free(p->saved);
	p->saved = NULL;
}

static bool is_restorer(pid_t pid, uint64_t addr)
{
	uint8_t buf[sizeof(code_back_long)];

	return read_memory(pid, addr, buf, sizeof(buf)) ==
		       (ssize_t)sizeof(buf) &&
	       (!memcmp(buf, code_back_long, sizeof(code_back_long)) ||
		!memcmp(buf, code_back, sizeof(code_back)));
}

bool place_is_returning(pid_t pid, const struct user_regs_struct *regs)
{
	uint8_t around[sizeof(code_call) + 2];
	uint64_t back;

	/* At the call, behind it, or about to make rt_sigreturn. */
	if (read_memory(pid, regs->rip - 2, around, sizeof(around)) !=
	    (ssize_t)sizeof(around))
		return false;
	if (!memcmp(around + 2, code_call, sizeof(code_call)) ||
	    !memcmp(around, code_call, sizeof(code_call)))
		return read_memory(pid, regs->rsp, &back, sizeof(back)) ==
			       (ssize_t)sizeof(back) &&
		       is_restorer(pid, back);
	if (around[2] == code_call[0] && around[3] == code_call[1])
		return is_restorer(pid, regs->rip - 7) ||
		       is_restorer(pid, regs->rip - 5);
	return is_restorer(pid, regs->rip);
}
