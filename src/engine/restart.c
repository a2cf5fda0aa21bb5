/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/building.h"
#include "engine/foreign.h"
#include "engine/own_limit.h"
#include "kernel/awake.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The job's clocks go on where they stood at the cut.  Resources compute
 * with the same offset, to the nanosecond.
 */
static int set_clocks(const struct building *b, struct err *err)
{
	int64_t boottime = (int64_t)clock_ns(CLOCK_BOOTTIME);
	int r;

	r = b->args->set_time(b->args->arg, b->ctx.monotonic_offset_ns,
			      b->plan->part->boottime_ns - boottime, err);
	return r < 0 ? err_wrap(err, r, "time namespace") : 0;
}

static int build_processes(struct building *b, struct err *err)
{
	int r;

	r = set_clocks(b, err);
	if (r == 0)
		r = build_terminals(b, err);
	if (r == 0)
		r = build_tree(b, err);
	/* Files of /proc may be those of processes: these come first. */
	if (r == 0)
		r = build_stage(b, STAGE_OPEN, err);
	if (r == 0)
		r = build_tables(b, err);
	if (r == 0)
		r = build_stage(b, STAGE_EARLY, err);
	return r;
}

static int build_memories(struct building *b, struct restart_result *ret,
			  struct err *err)
{
	uint64_t start;
	int r;

	r = build_memory(b, err);
	if (r == 0)
		r = build_stage(b, STAGE_MAP, err);
	if (r < 0)
		return r;
	awake_end(&b->awake_fd);
	b->args->phase(b->args->arg, PHASE_FILL);
	start = clock_monotonic_ns();
	r = build_contents(b, err);
	ret->fill_ns = clock_monotonic_ns() - start;
	ret->page_bytes = contents_bytes(b);
	b->awake_fd = awake_begin();
	if (r == 0)
		r = build_watches(b, err);
	if (r == 0)
		r = build_stage(b, STAGE_MAPPED, err);
	if (r == 0)
		r = build_frames(b, err);
	return r < 0 ? r : foreign_settle(b, err);
}

static int finish(struct building *b, struct err *err)
{
	static const enum restore_stage last[] = {
		STAGE_SIGNALS,
		STAGE_CREDS,
		STAGE_LAST,
		STAGE_ARM,
	};
	int r;

	r = build_threads(b, err);
	if (r == 0)
		r = build_stage(b, STAGE_THREAD, err);
	if (r == 0)
		r = build_stops(b, err);
	if (r == 0)
		r = build_zombies(b, err);
	if (r == 0)
		r = build_stage(b, STAGE_LATE, err);
	if (r == 0)
		r = close_channels(b, err);
	for (size_t i = 0; i < ARRAY_SIZE(last) && r == 0; i++)
		r = build_stage(b, last[i], err);
	return r == 0 ? build_registers(b, err) : r;
}

static int build(struct building *b, struct restart_result *ret,
		 struct err *err)
{
	int r;

	r = building_init(b, err);
	if (r == 0)
		r = build_ahead(b, err);
	if (r == 0)
		r = build_processes(b, err);
	if (r == 0)
		r = build_memories(b, ret, err);
	if (r == 0)
		r = finish(b, err);
	if (r < 0)
		return r;
	b->args->phase(b->args->arg, PHASE_GO);
	r = b->args->ready(b->args->arg, b->plan->part->root_pid, err);
	return r == 0 ? let_go(b, err) : r;
}

static void format_remark(const struct remark *m, char *ret, size_t room)
{
	if (m->more)
		snprintf(ret, room, "%s and %u more", m->paths, m->more);
	else
		snprintf(ret, room, "%s", m->paths);
}

static int build_part(const struct restart_args *args, const PartEntry *part,
		      const struct meta *meta, struct restart_result *ret,
		      struct err *err)
{
	struct building b = { .args = args, .part = part };
	struct plan plan = { 0 };
	int r;

	b.ctx.root_fd = b.ctx.init_proc_fd = -1;
	r = plan_make(meta, args->owner, &plan, err);
	if (r < 0)
		return r;
	b.plan = &plan;
	nearby_begin(&b.nearby, args->init_pid);
	args->phase(args->arg, PHASE_BUILD);
	b.awake_fd = awake_begin();
	r = build(&b, ret, err);
	if (r < 0) {
		building_kill(&b);
		building_undo(&b);
	}
	awake_end(&b.awake_fd);
	building_done(&b);
	nearby_end(&b.nearby);
	ret->tasks = (uint32_t)plan.ntasks;
	ret->threads = (uint32_t)plan.nthreads;
	ret->root_ns_pid = plan.part->root_pid;
	ret->isa = plan.part->isa;
	ret->files = args->files ? args->files : plan.part->files;
	ret->interval_s = plan.part->interval;
	ret->reset_peers = plan.part->peers != 0;
	for (size_t i = 0; i < FILE_REMARKS; i++)
		format_remark(&b.remarks[i], ret->remarks[i],
			      sizeof(ret->remarks[i]));
	plan_done(&plan);
	return r;
}

static int restart_part(const struct restart_args *args, const PartEntry *part,
			struct restart_result *ret, struct err *err)
{
	struct meta meta = { 0 };
	int r;

	r = snapshot_meta(args->dir_fd, args->owner, part, &meta, err);
	if (r == 0)
		r = snapshot_check_meta(part, &meta, err);
	if (r == 0)
		r = build_part(args, part, &meta, ret, err);
	meta_done(&meta);
	return r;
}

/* Restored without the tracer, they would end the job. */
static int check_features(const struct restart_args *args,
			  const ManifestRecord *m, struct err *err)
{
	for (size_t i = 0; i < m->n_features; i++)
		if (strcmp(m->features[i], SNAPSHOT_UPROBES) == 0 &&
		    !args->allow_uprobes)
			return err_set(err, -ENOTSUP,
				       "it was saved with breakpoints of a "
				       "tracer (uprobes), which may be in its "
				       "text: see --allow-uprobes in jobcr(1)");
	return 0;
}

int restart_run(const struct restart_args *args, struct restart_result *ret,
		struct err *err)
{
	uint64_t start = clock_monotonic_ns();
	struct restart_result result = { 0 };
	const ManifestRecord *manifest = args->manifest;
	int r = 0;

	args->phase(args->arg, PHASE_PREFLIGHT);
	own_limit_raise();
	if (manifest->n_parts != 1)
		r = err_set(err, -ENOTSUP,
			    "a snapshot of %zu nodes: this version restores "
			    "jobs of one node",
			    manifest->n_parts);
	if (r == 0)
		r = check_features(args, manifest, err);
	if (r == 0 && manifest->uid != args->owner->uid)
		r = err_set(err, -EPERM, "it is a job of uid %u, not of %u",
			    manifest->uid, args->owner->uid);
	if (r == 0)
		r = restart_part(args, manifest->parts[0], &result, err);
	if (r < 0)
		return r;
	result.total_ns = clock_monotonic_ns() - start;
	*ret = result;
	return 0;
}
