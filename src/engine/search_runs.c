// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/search_parts.h"
#include "kernel/hugetlb.h"

#define PAGE ((uint64_t)IMAGE_PAGE)

/* The next run of data of a file, in whole pages. */
static int data_runs(struct search *p, struct source *s, struct err *err)
{
	off_t data, hole;

	data = lseek(s->fd, (off_t)p->next, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		p->next = s->range.end;
		return 0;
	}
	if (data < 0)
		return err_sys(err, "file %u: SEEK_DATA", s->object);
	hole = lseek(s->fd, data, SEEK_HOLE);
	if (hole < 0)
		return err_sys(err, "file %u: SEEK_HOLE", s->object);
	p->runs[0] = (struct page_run){
		.start = (uint64_t)data & ~(PAGE - 1),
		.end = ((uint64_t)hole + PAGE - 1) & ~(PAGE - 1),
	};
	/* Never twice the same page, whatever the granularity of holes. */
	if (p->runs[0].start < p->next)
		p->runs[0].start = p->next;
	p->next = p->runs[0].end;
	p->nruns = p->runs[0].start < p->runs[0].end;
	return 0;
}

/* One run of huge pages that are there, if any are. */
static int huge_runs(struct search *p, const struct source *s, struct err *err)
{
	struct page_run *run = &p->runs[0];
	int has = 1;

	*run = (struct page_run){ .start = p->next, .end = p->next };
	while (p->next < s->range.end) {
		has = hugetlb_file_has(p->huge_file, p->next, err);
		if (has < 0)
			return has;
		if (!has && run->start < run->end)
			break;
		p->next += s->range.huge;
		if (has)
			run->end = p->next;
		else
			run->start = run->end = p->next;
	}
	p->nruns = run->start < run->end;
	return 0;
}

/* Where the kernel does not tell, only what is not zero is known to be. */
static int huge_file_runs(struct search *p, struct source *s, struct err *err)
{
	struct err why = { 0 };
	int r;

	if (!p->huge_file) {
		r = hugetlb_file_new(s->fd, s->range.huge, s->range.end,
				     &p->huge_file, &why);
		if (r == -EOPNOTSUPP) {
			s->range.huge = 0;
			return data_runs(p, s, err);
		}
		if (r < 0)
			return err_set(err, r, "file %u: %s", s->object,
				       why.text);
	}
	r = huge_runs(p, s, err);
	return r < 0 ? err_wrap(err, r, "file %u", s->object) : 0;
}

int search_file_runs(struct search *p, struct source *s, struct err *err)
{
	return (s->range.huge ? huge_file_runs : data_runs)(p, s, err);
}

void search_leave_process(struct search *p)
{
	if (p->pagemap_fd >= 0)
		close(p->pagemap_fd);
	p->pagemap_fd = -EBADF;
}

int search_open_pagemap(struct search *p, const struct source *s,
			struct err *err)
{
	if (p->pagemap_fd < 0)
		p->pagemap_fd = openat(s->range.proc_fd, "pagemap",
				       O_RDONLY | O_CLOEXEC);
	return p->pagemap_fd < 0
		       ? err_sys(err, "process %d: pagemap", s->range.ns_pid)
		       : 0;
}

struct scan_range search_scan_range(const struct source *s)
{
	return (struct scan_range){
		.proc_fd = s->range.proc_fd,
		.ns_pid = s->range.ns_pid,
		.start = s->range.start,
		.end = s->range.end,
		.over_file = s->range.over_file,
	};
}

int search_memory_runs(struct search *p, const struct source *s,
		       struct err *err)
{
	const struct scan_range range = search_scan_range(s);
	size_t kept = 0;
	int r = search_open_pagemap(p, s, err);

	if (r < 0)
		return r;
	r = pagemap_scan(p->pagemap_fd,
			 range.over_file ? PAGES_OVER_FILE : PAGES_OWN, p->next,
			 s->range.end, p->runs, SEARCH_RUNS, &p->nruns,
			 &p->next, err);
	if (r < 0)
		return err_wrap(err, r, "process %d", s->range.ns_pid);
	for (size_t i = 0; i < p->nruns; i++)
		if (scan_keeps(&range, &p->runs[i])) {
			p->runs[kept] = p->runs[i];
			p->runs[kept++].written = 1;
		}
	p->nruns = kept;
	return 0;
}
