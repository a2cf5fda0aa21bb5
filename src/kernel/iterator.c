/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/iterator.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

#define TYPES        "/sys/kernel/btf/vmlinux"
#define LICENSE      "GPL" /* of the program; helpers ask for it */
#define OFFSET_SHIFT 16
#define LEVELS       31 /* of pid namespaces, at most: all bits of it */
#define END_INSNS    2
#define PIECE_BYTES  (64u << 10) /* more than the kernel has a buffer for */

/* As struct bpf_insn lies in memory, whose bit fields are no better. */
void program_put(struct program *p, uint8_t code, uint8_t to, uint8_t from,
		 int offset, int32_t imm)
{
	if (p->n == PROGRAM_INSNS - END_INSNS) {
		p->missing = -E2BIG;
		return;
	}
	p->v[p->n++] = code | (uint64_t)to << 8 | (uint64_t)from << 12 |
		       (uint64_t)(uint16_t)offset << OFFSET_SHIFT |
		       (uint64_t)(uint32_t)imm << 32;
}

void program_load(struct program *p, uint8_t to, uint8_t from,
		  const char *structure, const char *member, size_t bytes)
{
	int offset = btf_member(p->types, structure, member, bytes);

	if (offset < 0)
		p->missing = offset;
	program_put(p, BPF_LDX | BPF_MEM | (bytes == 8 ? BPF_DW : BPF_W), to,
		    from, offset, 0);
}

void program_save(struct program *p, uint8_t from, int at)
{
	program_put(p, BPF_STX | BPF_MEM | BPF_DW, REG_FRAME, from, at, 0);
}

size_t program_jump_if_zero(struct program *p, uint8_t reg)
{
	size_t jump = p->n;

	program_put(p, BPF_JMP | BPF_JEQ | BPF_K, reg, 0, 0, 0);
	return jump;
}

void program_land(struct program *p, size_t jump)
{
	p->v[jump] |= (uint64_t)(p->n - jump - 1) << OFFSET_SHIFT;
}

void program_call(struct program *p, int32_t helper)
{
	program_put(p, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

/* Or it is not there, which is no place of anything either. */
static int known(struct program *p, int value)
{
	if (value < 0)
		p->missing = value;
	return value;
}

/* A thread has a number in each pid namespace above it. */
void program_save_tid(struct program *p, uint8_t reg, int at)
{
	int first = known(p, btf_member(p->types, "pid", "numbers", 0));
	int number = known(p, btf_member(p->types, "upid", "nr", 4));
	int each = known(p, btf_size(p->types, "upid"));

	program_put(p, BPF_ST | BPF_MEM | BPF_DW, REG_FRAME, 0, at, 0);
	program_call(p, BPF_FUNC_get_current_task_btf);
	program_load(p, REG_2, REG_RESULT, "task_struct", "thread_pid", 8);
	program_load(p, REG_2, REG_2, "pid", "level", 4);
	program_put(p, BPF_ALU64 | BPF_AND | BPF_K, REG_2, 0, 0, LEVELS);
	program_put(p, BPF_ALU64 | BPF_MUL | BPF_K, REG_2, 0, 0, each);
	program_load(p, REG_3, reg, "task_struct", "thread_pid", 8);
	program_put(p, BPF_ALU64 | BPF_ADD | BPF_X, REG_3, REG_2, 0, 0);
	program_put(p, BPF_ALU64 | BPF_ADD | BPF_K, REG_3, 0, 0,
		    first + number);
	program_put(p, BPF_ALU64 | BPF_MOV | BPF_X, REG_1, REG_FRAME, 0, 0);
	program_put(p, BPF_ALU64 | BPF_ADD | BPF_K, REG_1, 0, 0, at);
	program_put(p, BPF_ALU64 | BPF_MOV | BPF_K, REG_2, 0, 0,
		    sizeof(int32_t));
	program_call(p, BPF_FUNC_probe_read_kernel);
}

/* seq_write(ctx->meta->seq, frame + at, len) */
void program_write(struct program *p, const char *context, int at, int len)
{
	program_load(p, REG_1, REG_CTX, context, "meta", 8);
	program_load(p, REG_1, REG_1, "bpf_iter_meta", "seq", 8);
	program_put(p, BPF_ALU64 | BPF_MOV | BPF_X, REG_2, REG_FRAME, 0, 0);
	program_put(p, BPF_ALU64 | BPF_ADD | BPF_K, REG_2, 0, 0, at);
	program_put(p, BPF_ALU64 | BPF_MOV | BPF_K, REG_3, 0, 0, len);
	program_call(p, BPF_FUNC_seq_write);
}

static int sys_bpf(int command, union bpf_attr *attr, size_t size)
{
	int r = (int)syscall(SYS_bpf, command, attr, size);

	return r < 0 ? -errno : r;
}

static int load_program(const struct program *p, int function, const char *name)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_TRACING;
	attr.expected_attach_type = BPF_TRACE_ITER;
	attr.attach_btf_id = (uint32_t)function;
	attr.insns = (uintptr_t)p->v;
	attr.insn_cnt = (uint32_t)p->n;
	attr.license = (uintptr_t)LICENSE;
	(void)snprintf(attr.prog_name, sizeof(attr.prog_name), "%s", name);
	return sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
}

static int assemble_whole(struct program *p, assemble_fn assemble)
{
	program_put(p, BPF_ALU64 | BPF_MOV | BPF_X, REG_CTX, REG_1, 0, 0);
	assemble(p);
	if (p->missing)
		return p->missing;
	p->v[p->n++] = BPF_ALU64 | BPF_MOV | BPF_K; /* result: 0, go on */
	p->v[p->n++] = BPF_JMP | BPF_EXIT;
	return 0;
}

int iterator_open(const char *function, const char *name, assemble_fn assemble)
{
	struct program p = { 0 };
	struct btf types;
	int r, id;

	r = btf_read(TYPES, &types);
	if (r < 0)
		return r;
	p.types = &types;
	id = btf_function(&types, function);
	r = id < 0 ? id : assemble_whole(&p, assemble);
	if (r == 0)
		r = load_program(&p, id, name);
	btf_done(&types);
	return r;
}

/*
 * Of one thread: of a whole process the kernel would tell once for each.  A
 * kernel that cannot choose says so, as the number is not zero.
 */
int iterator_run(int iterator_fd, uint32_t tid)
{
	const struct {
		uint32_t tid, pid, pidfd;
	} whose = { .tid = tid };
	auto_close int link = -EBADF;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)iterator_fd;
	attr.link_create.attach_type = BPF_TRACE_ITER;
	if (tid) {
		attr.link_create.iter_info = (uintptr_t)&whose;
		attr.link_create.iter_info_len = sizeof(whose);
	}
	link = sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
	if (link < 0)
		return link;
	memset(&attr, 0, sizeof(attr));
	attr.iter_create.link_fd = (uint32_t)link;
	return sys_bpf(BPF_ITER_CREATE, &attr, sizeof(attr));
}

static int make_room(struct iterator_records *l)
{
	size_t piece = PIECE_BYTES / l->bytes;
	uint8_t *more;

	if (l->room - l->count >= piece)
		return 0;
	if (l->count > l->most)
		return -E2BIG;
	more = reallocarray(l->v, 2 * l->room + piece, l->bytes);
	if (!more)
		return -ENOMEM;
	l->v = more;
	l->room = 2 * l->room + piece;
	return 0;
}

int iterator_read(int fd, struct iterator_records *l, size_t *ret)
{
	int r = make_room(l);
	ssize_t n;

	if (r < 0)
		return r;
	do /* EAGAIN: it has passed over a million with nothing to tell */
		n = read(fd, l->v + l->count * l->bytes,
			 PIECE_BYTES / l->bytes * l->bytes);
	while (n < 0 && errno == EAGAIN);
	if (n < 0)
		return -errno;
	if ((size_t)n % l->bytes)
		return -EBADMSG;
	*ret = (size_t)n / l->bytes;
	l->count += *ret;
	return 0;
}
