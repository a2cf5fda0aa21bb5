/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "engine/building.h"
#include "images/files.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

static int build_table(struct building *b, struct puppet *p, struct err *err)
{
	const struct plan_record *recs;
	auto_free struct slot *slots = NULL;
	const FdRecord *fd;
	size_t count;
	int r;

	recs = plan_find(b->plan, TAG_FD, (uint32_t)p->task.ns_pid, &count);
	slots = calloc(count + 1, sizeof(*slots));
	if (!slots)
		return err_num(err, ENOMEM, "pid %d: %zu descriptors",
			       p->task.ns_pid, count);
	for (size_t i = 0; i < count; i++) {
		fd = (const FdRecord *)recs[i].msg;
		slots[i] =
			(struct slot){ fd->object, (int)fd->fd, fd->cloexec };
	}
	/* One may have been needed before. */
	r = channel_close(p, err);
	if (r == 0)
		r = channel_open(p, count ? slots[count - 1].fd + 1 : 0, err);
	return r < 0 ? r : channel_fill(b->fds, p, slots, count, err);
}

int build_tables(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++)
		if (!b->puppets[i].task.zombie)
			r = build_table(b, &b->puppets[i], err);
	return r;
}

int close_channels(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++)
		r = channel_close(&b->puppets[i], err);
	return r;
}
