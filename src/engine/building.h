/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_BUILDING_H
#define JOBCR_ENGINE_BUILDING_H

#include "engine/descriptors.h"
#include "engine/engine.h"
#include "engine/plan.h"
#include "engine/puppet.h"
#include "resource/resource.h"

/*
 * A restore under way.  restart.c says what is done in which order; the
 * functions here are its steps, one file each.
 */
struct building {
	const struct restart_args *args;
	const PartEntry *part; /* of the manifest */
	const struct plan *plan;
	struct puppet *puppets; /* by index of the plan's family */
	size_t npuppets;
	struct descriptors *fds;
	struct restore_owner owner;
	struct restore_engine engine;
	struct restore_ctx ctx;
	struct filters inherited; /* of calls, once asked for */
	bool have_inherited;
	uint8_t allowed_cpus[128];
};

/* engine_calls.c: fill engine and ctx (borrowing b itself). */
int building_init(struct building *b, struct err *err);
void building_done(struct building *b);

/* Nothing of the tree is left afterwards. */
void building_kill(struct building *b);

/* stages.c: what resources do at a stage, in all tasks. */
int build_stage(struct building *b, enum restore_stage stage, struct err *err);

/* tree.c: all processes, their sessions and groups. */
int build_tree(struct building *b, struct err *err);
/* terminal.c: the job's own, before the tree; a leader of its session takes it
 */
int build_terminal(struct building *b, struct err *err);
int terminal_take(struct building *b, struct puppet *p, struct err *err);
/* tables.c: descriptor tables; later, no way into the tasks any more. */
int build_tables(struct building *b, struct err *err);
int close_channels(struct building *b, struct err *err);
/* takeover.c: every task's memory but the agent and the vDSO is empty. */
int build_memory(struct building *b, struct err *err);
/* fill.c: all contents, checked; *ret_bytes counts them. */
int build_contents(struct building *b, uint64_t *ret_bytes, struct err *err);
/* threads.c */
int build_threads(struct building *b, struct err *err);
/* stops.c: stopped tasks are so again. */
int build_stops(struct building *b, struct err *err);
/* zombies.c: they die; signals that building caused are taken back. */
int build_zombies(struct building *b, struct err *err);
/* go.c: registers; nothing of ours is left; then all of them run. */
int build_registers(struct building *b, struct err *err);
int let_go(struct building *b, struct err *err);

#endif
