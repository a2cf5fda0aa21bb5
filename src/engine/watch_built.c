/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes are marked from where all memory is as the snapshot has it, before
 * anybody writes to it: so the next snapshot need not save it again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/building.h"
#include "images/mm.pb-c.h"
#include "images/tags.h"
#include "kernel/maps.h"
#include "kernel/proc.h"
#include "kernel/userfault.h"
#include "kernel/written.h"
#include "util/cleanup.h"

#define RUNS 64

/* The main stack is left alone, as in a checkpoint. */
static bool is_watchable(const struct building *b, const VmaRecord *v,
			 const MmRecord *mm)
{
	const uint64_t unwatched =
		VMA_GROWSDOWN |
		(b->args->watch == ENGINE_WATCH_AUTO ? VMA_HUGEPAGE : 0);

	return v->kind == VMA_RECORD__KIND__ANON_PRIVATE && !v->has_page_size &&
	       !(v->flags & unwatched) &&
	       !(mm->start_stack >= v->start && mm->start_stack < v->end);
}

/* What cannot be watched is saved whole the next time. */
static void watch_memory(const struct building *b, int fd, int pagemap_fd,
			 uint64_t start, uint64_t end)
{
	struct page_run runs[RUNS];
	size_t n;

	if ((b->args->watch == ENGINE_WATCH_AUTO &&
	     written_is_huge(pagemap_fd, start, end)) ||
	    written_watch(fd, start, end) < 0)
		return;
	while (start < end)
		if (written_scan(pagemap_fd, start, end, true, runs, RUNS, &n,
				 &start) < 0)
			return;
}

/* Mappings that touch are watched together, or not: see search.c. */
static int watch_all(const struct building *b, const struct puppet *p, int fd,
		     int proc_fd)
{
	auto_close int pagemap_fd =
		openat(proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	const struct plan_record *recs, *mm;
	uint64_t start = 0, end = 0;
	size_t count, one;

	mm = plan_find(b->plan, TAG_MM, (uint32_t)p->task.ns_pid, &one);
	recs = plan_find(b->plan, TAG_VMA, (uint32_t)p->task.ns_pid, &count);
	if (pagemap_fd < 0 || !one)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const VmaRecord *v = (const VmaRecord *)recs[i].msg;

		if (!is_watchable(b, v, (const MmRecord *)mm->msg))
			continue;
		if (v->start != end && start < end)
			watch_memory(b, fd, pagemap_fd, start, end);
		if (v->start != end)
			start = v->start;
		end = v->end;
	}
	if (start < end)
		watch_memory(b, fd, pagemap_fd, start, end);
	return 0;
}

static int watch_process(struct building *b, struct puppet *p, struct err *err)
{
	auto_close int fd = -EBADF;
	auto_close int proc_fd = -EBADF;
	struct proc_stat stat;
	struct err unused;
	int r = puppet_faultfd(p, USERFAULT_FLAGS, &fd, err);

	if (r < 0 || fd < 0)
		return r;
	if (written_begin(fd, &unused) < 0 ||
	    proc_open(p->task.pid, 0, &proc_fd, &unused) < 0 ||
	    proc_read_stat(proc_fd, &stat, &unused) < 0 ||
	    watch_all(b, p, fd, proc_fd) < 0)
		return 0;
	watches_add(b->args->watches, p->task.pid, stat.start_time,
		    take_fd(&fd));
	return 0;
}

int build_watches(struct building *b, struct err *err)
{
	struct watches *w = b->args->watches;
	int r = 0;

	if (!w || b->args->watch == ENGINE_WATCH_NONE || !written_supported())
		return 0;
	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++) {
		struct puppet *p = &b->puppets[i];

		if (p->task.zombie || w->count == WATCHES_MAX)
			continue;
		r = watch_process(b, p, err);
		if (r < 0)
			err_wrap(err, r, "pid %d: watch writes",
				 p->task.ns_pid);
	}
	w->generation = w->count ? b->args->generation : 0;
	memcpy(w->digest, b->part->streams[0]->digest.data, WATCHES_DIGEST);
	return r;
}
