// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/preflight.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * Whatever is there for that long, at each look, is meant to be there.  Looks
 * can take long themselves: two are not enough.
 */
#define STAYS_NS    (300 * (NSEC_PER_SEC / 1000))
#define STAYS_LOOKS 8

static uint64_t add(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3;
	return hash;
}

/* Another file by the same number is another thing. */
static const struct collected_file *file_of(const struct collection *c,
					    const struct refusal *f)
{
	for (size_t i = 0; i < c->nslots; i++) {
		const struct collected_slot *s = &c->slots[i];

		if (s->fd == f->fd && c->tasks[s->task].view.ns_pid == f->pid)
			return &c->files[s->file];
	}
	return NULL;
}

/* A queue that moves: what waits there now is not what did. */
static uint64_t add_queue(uint64_t hash, const struct collection *c,
			  const struct collected_file *file)
{
	auto_close int fd = -EBADF;
	uint32_t memory[16] = { 0 };
	socklen_t len = sizeof(memory);
	struct err ignored;

	if (file->fd < 0 ||
	    collection_open_object(c, file->object, &fd, &ignored) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) < 0)
		return hash;
	return add(hash, memory, sizeof(memory));
}

static uint64_t identity(const struct collection *c, const struct refusal *f)
{
	const struct collected_file *file = f->fd < 0 ? NULL : file_of(c, f);
	uint64_t hash = 0xcbf29ce484222325;

	hash = add(hash, &f->pid, sizeof(f->pid));
	hash = add(hash, &f->fd, sizeof(f->fd));
	if (file) {
		hash = add(hash, &file->dev, sizeof(file->dev));
		hash = add(hash, &file->ino, sizeof(file->ino));
		hash = add_queue(hash, c, file);
	}
	return add(hash, f->what, strlen(f->what));
}

static struct patience_seen seen_before(const struct patience *p,
					uint64_t thing, uint64_t now)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].thing == thing)
			return p->list[i];
	return (struct patience_seen){ thing, now, 0 };
}

void patience_look(struct patience *p, const struct collection *c,
		   const struct refusals *no)
{
	const uint64_t now = clock_monotonic_ns();
	struct patience next = { 0 };

	next.list = calloc(no->count, sizeof(*next.list));
	for (size_t i = 0; next.list && i < no->count; i++) {
		struct patience_seen *seen = &next.list[next.count];

		if (no->list[i].passes)
			continue;
		next.count++;
		*seen = seen_before(p, identity(c, &no->list[i]), now);
		seen->looks++;
		next.over |= now - seen->since_ns >= STAYS_NS &&
			     seen->looks >= STAYS_LOOKS;
	}
	free(p->list);
	*p = next;
}

void patience_done(struct patience *p)
{
	free(p->list);
	*p = (struct patience){ 0 };
}
