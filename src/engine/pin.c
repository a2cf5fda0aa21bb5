/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/hold.h"
#include "util/cleanup.h"

#define WORD sizeof(uint32_t)

struct word {
	uint64_t address;
	uint8_t value[WORD];
	bool there;
};

struct pin_memory {
	struct pin_memory *next;
	pid_t pid;
	int mem_fd;
	uint64_t page; /* one that is to be saved; 0: none yet */
	struct word *words;
	size_t nwords, room;
};

struct pin {
	struct pin_memory *list, *last;
	struct hold *hold;
	char refused[160];
};

int pin_new(struct pin **ret, struct err *err)
{
	struct pin *p = calloc(1, sizeof(*p));

	if (!p)
		return err_num(err, ENOMEM, "pin");
	*ret = p;
	return 0;
}

void pin_refuse(struct pin *p, const char *fmt, ...)
{
	va_list ap;

	if (*p->refused)
		return;
	va_start(ap, fmt);
	vsnprintf(p->refused, sizeof(p->refused), fmt, ap);
	va_end(ap);
}

static int find(struct pin *p, pid_t pid, int proc_fd, struct pin_memory **ret,
		struct err *err)
{
	struct pin_memory *m =
		p->last && p->last->pid == pid ? p->last : p->list;

	while (m && m->pid != pid)
		m = m->next;
	if (!m) {
		m = calloc(1, sizeof(*m));
		if (!m)
			return err_num(err, ENOMEM, "pin");
		m->pid = pid;
		m->mem_fd = openat(proc_fd, "mem", O_RDONLY | O_CLOEXEC);
		if (m->mem_fd < 0) {
			free(m);
			return err_sys(err, "memory of process %d", (int)pid);
		}
		m->next = p->list;
		p->list = m;
	}
	*ret = p->last = m;
	return 0;
}

int pin_add_word(struct pin *p, pid_t pid, int proc_fd, uint64_t address,
		 struct err *err)
{
	struct pin_memory *m;
	int r = find(p, pid, proc_fd, &m, err);

	if (r < 0)
		return r;
	if (m->nwords == m->room) {
		size_t room = m->room ? m->room * 2 : 4;
		struct word *words = realloc(m->words, room * sizeof(*words));

		if (!words)
			return err_num(err, ENOMEM, "pin");
		m->words = words;
		m->room = room;
	}
	m->words[m->nwords++] = (struct word){ .address = address };
	return 0;
}

int pin_add(struct pin *p, pid_t pid, int proc_fd, uint64_t address,
	    const struct pin_memory **ret, struct err *err)
{
	struct pin_memory *m;
	int r = find(p, pid, proc_fd, &m, err);

	if (r < 0)
		return r;
	if (!m->page)
		m->page = address;
	*ret = m;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* The kernel writes to no address where nothing is: such a word is left out. */
static void take_words(struct pin_memory *m)
{
	for (size_t i = 0; i < m->nwords; i++) {
		struct word *w = &m->words[i];

		w->there = pread(m->mem_fd, w->value, WORD,
				 (off_t)w->address) == (ssize_t)WORD;
	}
	if (m->nwords)
		qsort(m->words, m->nwords, sizeof(*m->words), by_address);
}

int pin_hold(struct pin *p, struct err *err)
{
	int r = *p->refused ? err_set(err, -EOPNOTSUPP, "%s", p->refused) : 0;

	if (r == 0)
		r = hold_new(&p->hold, err);
	for (struct pin_memory *m = p->list; m && r == 0; m = m->next) {
		/* Of a process that has nothing to be saved, none is read. */
		if (!m->page)
			continue;
		take_words(m);
		r = hold_add(p->hold, m->mem_fd, m->page, err);
	}
	if (r == 0)
		r = hold_await(p->hold, err);
	if (r == 0)
		return 0;
	hold_free(p->hold);
	p->hold = NULL;
	return r;
}

/* The first word that may reach into what begins at address. */
static size_t first_word(const struct pin_memory *m, uint64_t address)
{
	size_t low = 0, high = m->nwords;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->words[mid].address + WORD <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void pin_amend(const struct pin_memory *m, uint64_t address, uint8_t *to,
	       size_t len)
{
	for (size_t i = first_word(m, address);
	     i < m->nwords && m->words[i].address < address + len; i++) {
		const struct word *w = &m->words[i];

		/* It may lie across two pages. */
		for (size_t k = 0; w->there && k < WORD; k++)
			if (w->address + k >= address &&
			    w->address + k < address + len)
				to[w->address + k - address] = w->value[k];
	}
}

int pin_read(const struct pin_memory *m, uint64_t address, void *to, size_t len,
	     struct err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(m->mem_fd, (uint8_t *)to + done, len - done,
				  (off_t)(address + done));

		if (n < 0 && errno == EINTR)
			continue;
		/* Also what the kernel took to get out of a lack of memory. */
		if (n <= 0)
			return err_num(err, n < 0 ? errno : EIO,
				       "memory of process %d at %#llx",
				       (int)m->pid,
				       (unsigned long long)(address + done));
		done += (size_t)n;
	}
	pin_amend(m, address, to, len);
	return 0;
}

void pin_free(struct pin *p)
{
	struct pin_memory *m, *next;

	if (!p)
		return;
	hold_free(p->hold);
	for (m = p->list; m; m = next) {
		next = m->next;
		close(m->mem_fd);
		free(m->words);
		free(m);
	}
	free(p);
}
