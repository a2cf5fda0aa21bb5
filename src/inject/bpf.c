/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jumps of classic BPF go forward only.  So one walk from the first to the
 * last instruction sees each after all that lead to it: what they agree on is
 * known there, and where a jump is decided by something unknown both ways are
 * gone.  The time is linear however the program branches.
 */
#include "inject/bpf.h"

#include <linux/audit.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct value {
	uint32_t v;
	bool known;
};

struct state {
	struct value a, x, mem[BPF_MEMWORDS];
};

struct walk {
	const struct sock_filter *code;
	size_t len;
	const struct bpf_call *call;
	struct state *states; /* before each instruction that is reached */
	bool *reached;
	unsigned int answers;
};

static const struct value unknown = { 0, false };

static struct value known(uint32_t v)
{
	return (struct value){ v, true };
}

void bpf_call_init(struct bpf_call *call)
{
	memset(call, 0, sizeof(*call));
	call->data.arch = AUDIT_ARCH_X86_64;
	call->known = 1u << offsetof(struct seccomp_data, arch) / 4;
}

void bpf_call_set_nr(struct bpf_call *call, long nr)
{
	call->data.nr = (int)nr;
	call->known |= 1u << offsetof(struct seccomp_data, nr) / 4;
}

static void set_wide(struct bpf_call *call, size_t offset, uint64_t value)
{
	memcpy((uint8_t *)call->words + offset, &value, sizeof(value));
	call->known |= 3u << offset / 4;
}

void bpf_call_set_ip(struct bpf_call *call, uint64_t ip)
{
	set_wide(call, offsetof(struct seccomp_data, instruction_pointer), ip);
}

void bpf_call_set_arg(struct bpf_call *call, unsigned int n, uint64_t value)
{
	set_wide(call, offsetof(struct seccomp_data, args) + n * sizeof(value),
		 value);
}

static void join(struct value *to, struct value from)
{
	if (!from.known || from.v != to->v)
		to->known = false;
}

/* Two ways that meet know what both know. */
static void reach(struct walk *w, size_t at, const struct state *s)
{
	if (at >= w->len) {
		w->answers |= BPF_HARMS;
		return;
	}
	if (!w->reached[at]) {
		w->reached[at] = true;
		w->states[at] = *s;
		return;
	}
	join(&w->states[at].a, s->a);
	join(&w->states[at].x, s->x);
	for (size_t i = 0; i < BPF_MEMWORDS; i++)
		join(&w->states[at].mem[i], s->mem[i]);
}

static unsigned int answer_of(uint32_t value)
{
	switch (value & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return BPF_LETS;
	case SECCOMP_RET_ERRNO:
		return BPF_FAILS;
	case SECCOMP_RET_USER_NOTIF:
		return BPF_ASKS;
	default:
		return BPF_HARMS;
	}
}

static bool load(const struct walk *w, const struct sock_filter *i,
		 struct state *s, struct value *to)
{
	if (BPF_SIZE(i->code) != BPF_W)
		return false;
	switch (BPF_MODE(i->code)) {
	case BPF_ABS:
		if (to != &s->a || i->k % 4 || i->k / 4 >= BPF_CALL_WORDS)
			return false;
		*to = unknown;
		if (w->call->known >> i->k / 4 & 1)
			*to = known(w->call->words[i->k / 4]);
		return true;
	case BPF_LEN:
		*to = known(sizeof(struct seccomp_data));
		return true;
	case BPF_IMM:
		*to = known(i->k);
		return true;
	case BPF_MEM:
		if (i->k >= BPF_MEMWORDS)
			return false;
		*to = s->mem[i->k];
		return true;
	default:
		return false;
	}
}

static bool compute(const struct sock_filter *i, struct state *s)
{
	struct value b = BPF_SRC(i->code) == BPF_X ? s->x : known(i->k);
	struct value *a = &s->a;

	/* By nothing it ends the program, and kills. */
	if (BPF_OP(i->code) == BPF_DIV && b.known && !b.v)
		return false;
	if (!a->known || !b.known) {
		*a = unknown;
		return true;
	}
	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		a->v += b.v;
		return true;
	case BPF_SUB:
		a->v -= b.v;
		return true;
	case BPF_MUL:
		a->v *= b.v;
		return true;
	case BPF_DIV:
		a->v /= b.v;
		return true;
	case BPF_OR:
		a->v |= b.v;
		return true;
	case BPF_AND:
		a->v &= b.v;
		return true;
	case BPF_XOR:
		a->v ^= b.v;
		return true;
	case BPF_LSH:
		*a = b.v < 32 ? known(a->v << b.v) : unknown;
		return true;
	case BPF_RSH:
		*a = b.v < 32 ? known(a->v >> b.v) : unknown;
		return true;
	default:
		return false;
	}
}

static bool negate(struct state *s)
{
	s->a.v = -s->a.v;
	return true;
}

static bool store(const struct sock_filter *i, struct state *s, struct value v)
{
	if (i->k >= BPF_MEMWORDS)
		return false;
	s->mem[i->k] = v;
	return true;
}

static bool compare(const struct sock_filter *i, uint32_t a, uint32_t b,
		    bool *ret)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		*ret = a == b;
		return true;
	case BPF_JGT:
		*ret = a > b;
		return true;
	case BPF_JGE:
		*ret = a >= b;
		return true;
	case BPF_JSET:
		*ret = (a & b) != 0;
		return true;
	default:
		return false;
	}
}

static bool jump(struct walk *w, size_t at, const struct state *s)
{
	const struct sock_filter *i = &w->code[at];
	struct value b = BPF_SRC(i->code) == BPF_X ? s->x : known(i->k);
	bool holds;

	if (BPF_OP(i->code) == BPF_JA) {
		reach(w, at + 1 + i->k, s);
		return true;
	}
	if (!compare(i, s->a.v, b.v, &holds))
		return false;
	if (!s->a.known || !b.known) {
		reach(w, at + 1 + i->jt, s);
		reach(w, at + 1 + i->jf, s);
		return true;
	}
	reach(w, at + 1 + (holds ? i->jt : i->jf), s);
	return true;
}

static bool finish(struct walk *w, const struct sock_filter *i,
		   const struct state *s)
{
	struct value v = BPF_RVAL(i->code) == BPF_A ? s->a : known(i->k);

	w->answers |= v.known ? answer_of(v.v) : BPF_ANY;
	return true;
}

/* One that does not jump; false: it ends the program, or is none. */
static bool step(const struct walk *w, const struct sock_filter *i,
		 struct state *s)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		return load(w, i, s, &s->a);
	case BPF_LDX:
		return load(w, i, s, &s->x);
	case BPF_ST:
		return store(i, s, s->a);
	case BPF_STX:
		return store(i, s, s->x);
	case BPF_ALU:
		return BPF_OP(i->code) == BPF_NEG ? negate(s) : compute(i, s);
	case BPF_MISC:
		if (BPF_MISCOP(i->code) == BPF_TAX)
			s->x = s->a;
		else
			s->a = s->x;
		return true;
	default:
		return false;
	}
}

/* A division by something unknown may be one by nothing. */
static bool may_end(const struct sock_filter *i, const struct state *s)
{
	return BPF_CLASS(i->code) == BPF_ALU && BPF_OP(i->code) == BPF_DIV &&
	       BPF_SRC(i->code) == BPF_X && !s->x.known;
}

static void visit(struct walk *w, size_t at)
{
	const struct sock_filter *i = &w->code[at];
	struct state s = w->states[at];
	bool good;

	if (BPF_CLASS(i->code) == BPF_RET)
		good = finish(w, i, &s);
	else if (BPF_CLASS(i->code) == BPF_JMP)
		good = jump(w, at, &s);
	else {
		if (may_end(i, &s))
			w->answers |= BPF_HARMS;
		good = step(w, i, &s);
		if (good)
			reach(w, at + 1, &s);
	}
	if (!good)
		w->answers |= BPF_HARMS;
}

unsigned int bpf_answers(const struct sock_filter *code, size_t len,
			 const struct bpf_call *call)
{
	/* The kernel begins with all registers and memory at 0. */
	struct state first;
	struct walk w = { .code = code, .len = len, .call = call };

	if (len > BPF_MAXINSNS)
		return BPF_ANY;
	for (size_t i = 0; i < BPF_MEMWORDS; i++)
		first.mem[i] = known(0);
	first.a = first.x = known(0);
	w.states = malloc(len * sizeof(*w.states) + 1);
	w.reached = calloc(len + 1, sizeof(*w.reached));
	if (!w.states || !w.reached)
		w.answers = BPF_ANY;
	else
		reach(&w, 0, &first);
	for (size_t at = 0; at < len && w.answers != BPF_ANY; at++)
		if (w.reached[at])
			visit(&w, at);
	free(w.states);
	free(w.reached);
	return w.answers;
}
