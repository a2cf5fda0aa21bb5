/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/vma_iter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "kernel/btf.h"
#include "util/cleanup.h"

#define TYPES        "/sys/kernel/btf/vmlinux"
#define LICENSE      "GPL" /* of the program; the helper asks for it */
#define INSNS        48
#define AT_A_TIME    512        /* more than the kernel has a buffer for */
#define MOST         (1u << 24) /* mappings */
#define OFFSET_SHIFT 16
#define SAVED_AT     (-(int)sizeof(struct vma_seen)) /* from the frame pointer */

/* Registers: what a call leaves alone, and what it takes. */
enum { R1 = 1, R2, R3, CTX = 6, VMA = 7, FRAME = 10 };

struct program {
	uint64_t v[INSNS];
	size_t n;
	const struct btf *types;
	int missing; /* a member that is not there: -ENOENT */
};

/* As struct bpf_insn lies in memory, whose bit fields are no better. */
static void put(struct program *p, uint8_t code, uint8_t to, uint8_t from,
		int offset, int32_t imm)
{
	p->v[p->n++] = code | (uint64_t)to << 8 | (uint64_t)from << 12 |
		       (uint64_t)(uint16_t)offset << OFFSET_SHIFT |
		       (uint64_t)(uint32_t)imm << 32;
}

/* to = *(from + member); an address that is none reads as 0. */
static void load(struct program *p, uint8_t to, uint8_t from,
		 const char *structure, const char *member)
{
	int offset = btf_member(p->types, structure, member);

	if (offset < 0)
		p->missing = offset;
	put(p, BPF_LDX | BPF_MEM | BPF_DW, to, from, offset, 0);
}

#define SAVE(p, from, field)                                                   \
	put(p, BPF_STX | BPF_MEM | BPF_DW, FRAME, from,                        \
	    SAVED_AT + (int)offsetof(struct vma_seen, field), 0)

static void load_vma(struct program *p, uint8_t to, const char *member)
{
	load(p, to, VMA, "vm_area_struct", member);
}

static void save_all(struct program *p)
{
	load_vma(p, R2, "vm_start");
	SAVE(p, R2, start);
	load_vma(p, R2, "vm_end");
	SAVE(p, R2, end);
	load_vma(p, R2, "vm_flags");
	SAVE(p, R2, flags);
	load_vma(p, R2, "vm_policy");
	SAVE(p, R2, policy);
	load_vma(p, R2, "vm_ops");
	load(p, R3, R2, "vm_operations_struct", "get_policy");
	SAVE(p, R3, policies);
	load(p, R3, R2, "vm_operations_struct", "pagesize");
	SAVE(p, R3, page_size);
	load_vma(p, R2, "anon_vma");
	SAVE(p, R2, anon_vma);
	load(p, R3, R2, "anon_vma", "root");
	SAVE(p, R3, root);
	load(p, R3, R2, "anon_vma", "num_children");
	SAVE(p, R3, children);
}

/* seq_write(ctx->meta->seq, saved, its size) */
static void write_out(struct program *p)
{
	load(p, R1, CTX, "bpf_iter__task_vma", "meta");
	load(p, R1, R1, "bpf_iter_meta", "seq");
	put(p, BPF_ALU64 | BPF_MOV | BPF_X, R2, FRAME, 0, 0);
	put(p, BPF_ALU64 | BPF_ADD | BPF_K, R2, 0, 0, SAVED_AT);
	put(p, BPF_ALU64 | BPF_MOV | BPF_K, R3, 0, 0, -SAVED_AT);
	put(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_seq_write);
}

/* Called for each mapping, and once more with none. */
static int assemble(struct program *p)
{
	size_t jump;

	put(p, BPF_ALU64 | BPF_MOV | BPF_X, CTX, R1, 0, 0);
	load(p, VMA, CTX, "bpf_iter__task_vma", "vma");
	jump = p->n;
	put(p, BPF_JMP | BPF_JEQ | BPF_K, VMA, 0, 0, 0);
	save_all(p);
	write_out(p);
	p->v[jump] |= (uint64_t)(p->n - jump - 1) << OFFSET_SHIFT;
	put(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	put(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return p->missing;
}

static int sys_bpf(int command, union bpf_attr *attr, size_t size)
{
	int r = (int)syscall(SYS_bpf, command, attr, size);

	return r < 0 ? -errno : r;
}

static int load_program(const struct program *p, int function)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_TRACING;
	attr.expected_attach_type = BPF_TRACE_ITER;
	attr.attach_btf_id = (uint32_t)function;
	attr.insns = (uintptr_t)p->v;
	attr.insn_cnt = (uint32_t)p->n;
	attr.license = (uintptr_t)LICENSE;
	(void)strcpy(attr.prog_name, "jobcr_vmas");
	return sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
}

int vma_iter_open(void)
{
	struct program p = { 0 };
	struct btf types;
	int r, function;

	r = btf_read(TYPES, &types);
	if (r < 0)
		return r;
	p.types = &types;
	function = btf_function(&types, "bpf_iter_task_vma");
	r = function < 0 ? function : assemble(&p);
	if (r == 0)
		r = load_program(&p, function);
	btf_done(&types);
	return r;
}

/*
 * Of one thread: of a whole process the kernel would tell once for each.  A
 * kernel that cannot choose says so, as the number is not zero.
 */
static int begin(int iter_fd, pid_t pid)
{
	const struct {
		uint32_t tid, pid, pidfd;
	} whose = { .tid = (uint32_t)pid };
	auto_close int link = -EBADF;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)iter_fd;
	attr.link_create.attach_type = BPF_TRACE_ITER;
	attr.link_create.iter_info = (uintptr_t)&whose;
	attr.link_create.iter_info_len = sizeof(whose);
	link = sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
	if (link < 0)
		return link;
	memset(&attr, 0, sizeof(attr));
	attr.iter_create.link_fd = (uint32_t)link;
	return sys_bpf(BPF_ITER_CREATE, &attr, sizeof(attr));
}

struct seen_list {
	struct vma_seen *v;
	size_t count, room;
};

static int make_room(struct seen_list *l)
{
	struct vma_seen *more;

	if (l->room - l->count >= AT_A_TIME)
		return 0;
	if (l->count > MOST)
		return -E2BIG;
	l->room = 2 * l->room + AT_A_TIME;
	more = reallocarray(l->v, l->room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->v = more;
	return 0;
}

/*
 * At the end the kernel begins its last piece once more, and would do so for
 * ever: the end is also where addresses do not ascend.
 */
static int read_piece(int fd, struct seen_list *l, bool *ret_more)
{
	struct vma_seen *to;
	ssize_t n;
	int r = make_room(l);

	if (r < 0)
		return r;
	to = l->v + l->count;
	n = read(fd, to, AT_A_TIME * sizeof(*to));
	if (n < 0)
		return -errno;
	if ((size_t)n % sizeof(*to))
		return -EBADMSG;
	*ret_more = n > 0 && (!l->count || to->start >= to[-1].end);
	if (*ret_more)
		l->count += (size_t)n / sizeof(*to);
	return 0;
}

int vma_iter_read(int iter_fd, pid_t pid, struct vma_seen **ret, size_t *count)
{
	auto_close int fd = begin(iter_fd, pid);
	struct seen_list l = { 0 };
	bool more = true;
	int r = fd < 0 ? fd : 0;

	while (r == 0 && more)
		r = read_piece(fd, &l, &more);
	if (r < 0) {
		free(l.v);
		return r;
	}
	*ret = l.v;
	*count = l.count;
	return 0;
}
