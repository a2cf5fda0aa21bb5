/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PLAN_H
#define JOBCR_ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/family.h"
#include "images/part.pb-c.h"
#include "inject/cpu.h"
#include "snapshot/snapshot.h"
#include "storage/as_user.h"
#include "util/err.h"

/*
 * What a restore is going to build, from the records of one part.  All that
 * can be known to be wrong or impossible is found here, before anything is
 * made; afterwards the records are relied on.
 */

/* A record under the number in its first field (pid, tid or object). */
struct plan_record {
	uint32_t tag;
	uint32_t id;
	const ProtobufCMessage *msg; /* borrowed from the meta */
};

struct plan_thread {
	int32_t tid;
	uint32_t task, thread; /* indices */
};

struct plan {
	const struct meta *meta; /* borrowed */
	const PartRecord *part;
	const TaskRecord **tasks; /* parents before their children */
	size_t ntasks;
	struct plan_thread *threads; /* ascending by tid; none of zombies */
	size_t nthreads;
	struct plan_record *index; /* ascending by tag, id, place in meta */
	size_t nindex;
	struct family family;    /* its first ntasks members are the tasks */
	struct cpu_info cpu;     /* of this node */
	uint64_t missing_states; /* of its node's, that this one has not */
	bool foreign;            /* its vDSO is another kernel's: foreign.h */
};

/*
 * -EBADMSG: records that no dump writes.  -ENOTSUP: this node or this owner
 * cannot have it; says who, what and why.
 */
int plan_make(const struct meta *meta, const struct user_id *owner,
	      struct plan *ret, struct err *err);
void plan_done(struct plan *plan);

/* Fill index from meta. */
int plan_index(struct plan *plan, struct err *err);

/* Records with this tag and number, in their order; *ret_count may be 0. */
const struct plan_record *plan_find(const struct plan *plan, uint32_t tag,
				    uint32_t id, size_t *ret_count);

/* All records with this tag. */
const struct plan_record *plan_kind(const struct plan *plan, uint32_t tag,
				    size_t *ret_count);

/* The thread with this number; NULL: none.  A process: its leader. */
const struct plan_thread *plan_thread(const struct plan *plan, int32_t tid);

/* The number a record is about, by the name of its field; 0: no such. */
int32_t plan_number(const ProtobufCMessage *msg, const char *field);

#endif
