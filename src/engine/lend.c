/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a task maps is brought into it for many mappings at once: each message
 * costs two stops of the puppet and makes it do what waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "engine/building.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

static int find_lent(const struct puppet *p, uint32_t object)
{
	for (size_t i = 0; i < p->nlent; i++)
		if (p->lent[i].object == object)
			return p->lent[i].fd;
	return -1;
}

static void choose(struct puppet *p, uint32_t object)
{
	if (object && p->nlent < p->lent_max && find_lent(p, object) < 0)
		p->lent[p->nlent++] = (struct puppet_fd){ object, 0 };
}

/* This one, and what is mapped behind the last that was looked at. */
static void choose_next(struct building *b, struct puppet *p, uint32_t object)
{
	const struct plan_record *vmas;
	size_t count;

	choose(p, object);
	vmas = plan_find(b->plan, TAG_VMA, (uint32_t)p->task.ns_pid, &count);
	for (; p->next_vma < count && p->nlent < p->lent_max; p->next_vma++)
		choose(p, ((const VmaRecord *)vmas[p->next_vma].msg)->object);
}

static int push_lent(struct building *b, struct puppet *p, struct err *err)
{
	uint32_t objects[PUPPET_LENT];
	int fds[PUPPET_LENT], r;

	for (size_t i = 0; i < p->nlent; i++)
		objects[i] = p->lent[i].object;
	r = channel_push(b->fds, p, objects, p->nlent, fds, err);
	for (size_t i = 0; i < p->nlent && r == 0; i++)
		p->lent[i].fd = fds[i];
	if (r < 0)
		p->nlent = 0;
	return r;
}

static int lend_more(struct building *b, struct puppet *p, uint32_t object,
		     struct err *err)
{
	int r;

	if (!p->lent)
		p->lent = calloc(PUPPET_LENT, sizeof(*p->lent));
	if (!p->lent)
		return err_num(err, ENOMEM, "descriptors");
	r = lend_back(p, err);
	if (r < 0)
		return r;
	choose_next(b, p, object);
	return push_lent(b, p, err);
}

int lend_fd(struct building *b, struct puppet *p, uint32_t object, int *ret_fd,
	    struct err *err)
{
	int fd = find_lent(p, object), r;

	if (fd < 0) {
		r = lend_more(b, p, object, err);
		if (r < 0)
			return r;
		fd = find_lent(p, object);
	}
	*ret_fd = fd;
	return 0;
}

int lend_back(struct puppet *p, struct err *err)
{
	int r = 0;

	if (!p->nlent)
		return 0;
	r = puppet_enter(p, &p->task.threads[0], err);
	for (size_t i = 0; i < p->nlent && r == 0; i++)
		r = remote_later(p->task.remote, "close", 0, err, __NR_close,
				 (uint64_t)p->lent[i].fd, 0, 0, 0, 0, 0);
	p->nlent = 0;
	return r < 0 ? r : remote_flush(p->task.remote, err);
}
