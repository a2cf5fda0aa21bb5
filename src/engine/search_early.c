/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is taken before all is known, so that storage has something to do while
 * other processes of the tree are looked at.
 */
#include "engine/search_parts.h"

/*
 * Whether a page is another's, or was saved before, is not known yet.  What is
 * to be armed is read only then: between the two others could write to it.
 */
static bool may_be_taken(const struct search *p, const struct source *s)
{
	const struct page_range *range = &s->range;

	return range->pid && range->alone && !range->since && !range->huge &&
	       !(p->arm && range->watch_fd >= 0);
}

static void leave_source(struct search *p)
{
	const struct source *s = &p->sources[p->at++];

	if (p->at == p->nsources || s[1].range.proc_fd != s->range.proc_fd)
		search_leave_process(p);
}

static int look_on(struct search *p, struct err *err)
{
	struct source *s = &p->sources[p->at];
	int r;

	p->run = p->nruns = 0;
	if (!s->taken)
		s->taken = s->range.start;
	if (!may_be_taken(p, s) || s->taken == s->range.end) {
		leave_source(p);
		return 0;
	}
	p->next = s->taken;
	r = search_memory_runs(p, s, err);
	s->taken = p->next;
	return r;
}

static bool is_in_run(const struct search *p)
{
	return p->run < p->nruns;
}

int search_next_early(struct search *p, bool *ret_more, struct err *err)
{
	int r = 0;

	for (;;) {
		while (is_in_run(p) &&
		       p->runs[p->run].start == p->runs[p->run].end)
			p->run++;
		*ret_more = is_in_run(p);
		if (*ret_more)
			p->run_ends = p->runs[p->run].end;
		if (r < 0 || *ret_more || p->at == p->nsources)
			return r;
		r = look_on(p, err);
	}
}

void search_give_back(struct search *p, pid_t pid, uint64_t start)
{
	size_t i = p->at;

	while (i && p->sources[i - 1].range.pid != pid)
		i--;
	for (; i && p->sources[i - 1].range.pid == pid; i--) {
		struct source *s = &p->sources[i - 1];

		if (s->range.end <= start)
			break;
		if (s->taken > start)
			s->taken =
				start > s->range.start ? start : s->range.start;
	}
}

void search_end_early(struct search *p)
{
	if (is_in_run(p))
		p->sources[p->at].taken = p->runs[p->run].start;
	p->run = p->nruns = 0;
	search_leave_process(p);
	p->early = false;
}
