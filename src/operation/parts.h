/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_PARTS_H
#define JOBCR_OPERATION_PARTS_H

#include "operation/apart.h"
#include "operation/operation.h"
#include "operation/worker.h"
#include "storage/as_user.h"
#include "wire/control.h"

/* One function per kind of request; each sends its last reply on success. */
int operation_history(const struct operation *op, struct err *err);
int operation_delete(const struct operation *op, struct err *err);
int operation_keep(const struct operation *op, struct err *err);
int operation_list(const struct operation *op, struct err *err);
int operation_show(const struct operation *op, struct err *err);
int operation_wait(const struct operation *op, struct err *err);
int operation_attach(const struct operation *op, struct err *err);
int operation_kill(const struct operation *op, struct err *err);
int operation_start(const struct operation *op, struct err *err);
int operation_checkpoint(const struct operation *op, struct err *err);
int operation_lease(const struct operation *op, struct err *err);
int operation_restore(const struct operation *op, struct err *err);

/* By the wish of the caller, as long as it waits. */
struct apart operation_apart(const struct operation *op);

/* For a worker: tells the caller of phases, and asks him where he steps. */
struct worker_hooks operation_hooks(const struct operation *op);

/* Facts of a job that an entry of a list is to have; see request.proto. */
#define FACTS_TEXT 256
struct job_facts {
	JobFacts facts;
	char doing[16], cause[16], phase[24], newest_cause[16];
	char failed[FACTS_TEXT], warning[FACTS_TEXT], flush_failed[FACTS_TEXT];
};
void status_read(const struct conf *conf, const struct control_info *info,
		 struct job_facts *ret);
/* The newest snapshot of those whose records know of none: in the store. */
void status_look(const struct conf *conf, const struct control_info *infos,
		 struct job_facts *facts, size_t count);

/*
 * The directory in the store of the job that the request is about, if the
 * caller may.  retired: also of one whose snapshots were removed when it had
 * ended.  Owned by the caller: both.
 */
int operation_open_job(const struct operation *op, bool retired,
		       struct user_id *ret_owner, int *ret_fd, struct err *err);

#endif
