// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/refusal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/plain.h"

/* A place for one more; NULL when it is only counted. */
static struct refusal *refusals_grow(struct refusals *r)
{
	size_t room = r->count + 1;
	struct refusal *list;

	r->total++;
	if (room > REFUSALS_MAX)
		return NULL;
	/* Powers of two: the array is full when count is one. */
	if ((r->count & (r->count - 1)) == 0) {
		room = r->count ? r->count * 2 : 1;
		list = realloc(r->list, room * sizeof(*list));
		if (!list) {
			r->nomem = 1;
			return NULL;
		}
		r->list = list;
	}
	return &r->list[r->count++];
}

void refusals_add(struct refusals *r, pid_t pid, const char *comm, int fd,
		  const char *remedy, const char *fmt, ...)
{
	struct refusal *no = refusals_grow(r);
	va_list ap;

	if (!no)
		return;
	memset(no, 0, sizeof(*no));
	no->pid = pid;
	no->fd = fd;
	(void)snprintf(no->comm, sizeof(no->comm), "%s", comm ? comm : "");
	(void)snprintf(no->remedy, sizeof(no->remedy), "%s",
		       remedy ? remedy : "");
	va_start(ap, fmt);
	(void)vsnprintf(no->what, sizeof(no->what), fmt, ap);
	va_end(ap);
	plain_make(no->comm, '?');
	plain_make(no->what, '?');
}

void refusals_passes(struct refusals *r)
{
	if (r->count && r->count == r->total)
		r->list[r->count - 1].passes = true;
}

void refusals_done(struct refusals *r)
{
	free(r->list);
	memset(r, 0, sizeof(*r));
}
