/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_WORKER_H
#define JOBCR_OPERATION_WORKER_H

#include "conf/conf.h"
#include "src/wire/worker.pb-c.h"
#include "util/err.h"

/* What a caller of a worker wants to be told or asked; each may be NULL. */
struct worker_hooks {
	void (*phase)(void *arg, const char *phase);
	bool (*proceed)(void *arg); /* stepping; flush: as it goes on */
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* flush */
	/* Each second in which the worker says nothing; no: it is killed. */
	bool (*idle)(void *arg);
	/* The snapshot is durable, the job frozen: is it to be killed?  gone:
	 * it is dead already, by others; no: it will not start again. */
	bool (*published)(void *arg, uint32_t generation, bool gone);
	void *arg;
};

/*
 * Start a jobcr-worker, give it the request, wait for its end.  *ret is its
 * reply (owned by the caller: reply__free_unpacked), also when it carries a
 * failure; the value is negative when there was none.
 */
int worker_run(const struct conf *conf, const WorkerRequest *req,
	       const struct worker_hooks *hooks, Reply **ret, struct err *err);

#endif
