/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PIN_H
#define JOBCR_ENGINE_PIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Page mode pin: the memory of a frozen tree is held (hold.h), so that its
 * processes may be killed before it is written.
 *
 * The kernel itself writes to a process's memory when its threads end: zero
 * where clear_child_tid says (who joins a thread waits for that), and marks
 * in the robust mutexes that it holds.  Such words are read while the tree is
 * frozen, and put where they were in what is read later.
 */
struct pin;

/* One process; of the pin. */
struct pin_memory;

int pin_new(struct pin **ret, struct err *err);

/* It cannot be done, for a reason; the first is kept. */
void pin_refuse(struct pin *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The kernel will write to the word at address when a thread ends. */
int pin_add_word(struct pin *p, pid_t pid, int proc_fd, uint64_t address,
		 struct err *err);

/*
 * This process has a page at address that is to be saved.  All calls for one
 * process in a row.  *ret lasts until pin_free.
 */
int pin_add(struct pin *p, pid_t pid, int proc_fd, uint64_t address,
	    const struct pin_memory **ret, struct err *err);

/* Once, after all were added.  -EOPNOTSUPP: refused, nothing is held. */
int pin_hold(struct pin *p, struct err *err);

/* Memory as it was at pin_hold; by any thread, whether the process lives. */
int pin_read(const struct pin_memory *m, uint64_t address, void *to, size_t len,
	     struct err *err);

/*
 * Correct what was read of it otherwise: while the process lives that is
 * quicker.
 */
void pin_amend(const struct pin_memory *m, uint64_t address, uint8_t *data,
	       size_t len);

/* Let go; NULL too. */
void pin_free(struct pin *p);

#endif
