/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A puppet makes many calls with one stop: they wait here until somebody has
 * to see what they did.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "inject/remote_parts.h"
#include "parasite/puppet.h"
#include "util/clock.h"

#define LATER_MAX   256
#define PATIENCE_NS (10 * NSEC_PER_SEC)

/* As the puppet's code reads it. */
struct entry {
	uint64_t nr, args[6];
	int64_t value;
};

struct table {
	uint64_t over;
	uint64_t padding[7];
	struct entry calls[LATER_MAX];
};

struct later {
	struct table table;
	const char *what[LATER_MAX];
	uint64_t want[LATER_MAX];
	size_t count;
	uint64_t addr; /* where the puppet has room for the table; 0: nowhere */
};

size_t later_take_room(struct remote *r, uint64_t buffer, size_t len)
{
	if (!r->later)
		r->later = calloc(1, sizeof(*r->later));
	if (!r->later)
		return len;
	r->later->addr = 0;
	if (len < 2 * sizeof(struct table))
		return len;
	len -= sizeof(struct table);
	r->later->addr = buffer + len;
	return len;
}

void later_done(struct remote *r)
{
	free(r->later);
	r->later = NULL;
}

static int start(struct remote *r, const struct later *l, struct err *err)
{
	struct user_regs_struct regs = r->saved;
	size_t len =
		offsetof(struct table, calls) + l->count * sizeof(struct entry);
	int e;

	e = remote_write(r, l->addr, &l->table, len, err);
	if (e < 0)
		return e;
	regs.orig_rax = (unsigned long long)-1;
	regs.rip = r->syscall_addr + (PUPPET_BATCH - PUPPET_SYSCALL);
	regs.rbx = l->addr + offsetof(struct table, calls);
	regs.r12 = l->count;
	regs.r13 = l->addr + offsetof(struct table, over);
	e = tracee_set_regs(r->t, &regs, err);
	return e < 0 ? e : tracee_continue(r->t, err);
}

static int judge(const struct later *l, struct err *err)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *c = &l->table.calls[i];

		if (c->value < 0 && c->value >= -4095)
			return err_num(err, (int)c->value, "%s (%#llx)",
				       l->what[i],
				       (unsigned long long)c->args[0]);
		if (l->want[i] != REMOTE_ANY &&
		    (uint64_t)c->value != l->want[i])
			return err_set(err, -EIO, "%s (%#llx): %#llx",
				       l->what[i],
				       (unsigned long long)c->args[0],
				       (unsigned long long)c->value);
	}
	return 0;
}

int remote_flush(struct remote *r, struct err *err)
{
	struct later *l = r->later;
	int e;

	if (!l || !l->count)
		return 0;
	if (!r->t || !l->addr)
		return err_set(err, -EINVAL, "calls outside of a thread");
	l->table.over = 0;
	e = start(r, l, err);
	e = e < 0 ? e : await_word(r, l->addr, 0, 0, err);
	e = e < 0 ? e : tracee_interrupt(r->t, err);
	e = e < 0 ? e
		  : tracee_wait_stop(r->t, clock_monotonic_ns() + PATIENCE_NS,
				     err);
	e = e < 0 ? e
		  : remote_read(r, l->addr, &l->table, sizeof(l->table), err);
	e = e < 0 ? e : judge(l, err);
	l->count = 0;
	return e;
}

int remote_later(struct remote *r, const char *what, uint64_t want,
		 struct err *err, long nr, uint64_t a0, uint64_t a1,
		 uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct later *l = r->later;
	int e;

	if (!r->puppet || !l || !l->addr)
		return err_set(err, -EINVAL, "%s: not in a puppet", what);
	if (l->count == LATER_MAX) {
		e = remote_flush(r, err);
		if (e < 0)
			return e;
	}
	l->what[l->count] = what;
	l->want[l->count] = want;
	l->table.calls[l->count++] =
		(struct entry){ (uint64_t)nr, { a0, a1, a2, a3, a4, a5 }, 0 };
	return 0;
}
