/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_BUILDING_H
#define JOBCR_ENGINE_BUILDING_H

#include "engine/descriptors.h"
#include "engine/engine.h"
#include "engine/heirs.h"
#include "engine/plan.h"
#include "engine/puppet.h"
#include "kernel/vdso.h"
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
	struct heirs heirs;
	struct contents *contents;
	struct descriptors *fds;
	struct restore_owner owner;
	struct restore_engine engine;
	struct restore_ctx ctx;
	struct filters inherited; /* of calls, once asked for */
	bool have_inherited;
	uint8_t allowed_cpus[128];
	int awake_fd; /* while processes are built */
	struct remark {
		char paths[512];   /* as many as fit */
		unsigned int more; /* and so many others */
	} remarks[FILE_REMARKS];
};

/* engine_calls.c: fill engine and ctx (borrowing b itself). */
int building_init(struct building *b, struct err *err);
void building_done(struct building *b);

/* Nothing of the tree is left afterwards. */
void building_kill(struct building *b);

/* stages.c: what resources take back of a restore that failed. */
void building_undo(struct building *b);

/* stages.c: what resources do at a stage, in all tasks. */
int build_stage(struct building *b, enum restore_stage stage, struct err *err);

/* tree.c: all processes, their sessions and groups. */
int build_tree(struct building *b, struct err *err);
/* terminal.c: the job's own, before the tree; a leader of a session takes it
 */
int build_terminals(struct building *b, struct err *err);
int terminal_take(struct building *b, struct puppet *p, struct err *err);
/* tables.c: descriptor tables; later, no way into the tasks any more. */
int build_tables(struct building *b, struct err *err);
int close_channels(struct building *b, struct err *err);
/* lend.c: a descriptor in p for an object, until lend_back. */
int lend_fd(struct building *b, struct puppet *p, uint32_t object, int *ret_fd,
	    struct err *err);
int lend_back(struct puppet *p, struct err *err);
/* takeover.c: nothing of the program is left, and the agent is where none of
 * vmas is (-ENOMEM: no such place); the vDSO is where the job has it, or
 * apart, where nothing is. */
int puppet_vacate(struct puppet *p, const struct plan_record *vmas,
		  size_t nvmas, struct err *err);
int puppet_settle(struct puppet *p, const struct plan_record *vmas,
		  size_t nvmas, bool apart, struct err *err);
/*
 * inherit.c: pages that processes share copy-on-write are in the memory of
 * by before who is forked off it, and in that of who afterwards; in the end
 * each has those alone that it is to have.
 */
int inherit_before_fork(struct building *b, uint32_t by, uint32_t who,
			struct err *err);
int inherit_after_fork(struct building *b, uint32_t by, uint32_t who,
		       struct err *err);
int inherit_settle(struct building *b, struct puppet *p, struct err *err);
/* memory.c: every task's memory but the agent, the vDSO and what it has
 * inherited is empty. */
int build_memory(struct building *b, struct err *err);
/*
 * fill.c: contents, checked, of the process `from` (ns_pid) at [start, end)
 * into puppet `to` (by index); its pages without contents are left alone.
 */
struct put {
	size_t to;
	int32_t from;
	uint64_t start, end;
};
int build_puts(struct building *b, const struct put *puts, size_t count,
	       struct err *err);
/* Begin to read what will be wanted. */
int build_ahead(struct building *b, struct err *err);
/* All that is not there yet; contents_bytes counts what was ever read. */
int build_contents(struct building *b, struct err *err);
uint64_t contents_bytes(const struct building *b);
void contents_free(struct contents *c); /* NULL too */
/* watch_built.c: from here on whatever is written shows. */
int build_watches(struct building *b, struct err *err);
/* frames.c: no handler of a signal returns to what this node has not. */
int build_frames(const struct building *b, struct err *err);
/* Does a thread of p stand in an image at home, as long as own and with its
 * entries, or a handler return there?  At an entry neither matters. */
int frames_lead_to(const struct building *b, const struct puppet *p,
		   uint64_t home, const struct vdso_image *own, bool *ret,
		   struct err *err);
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
