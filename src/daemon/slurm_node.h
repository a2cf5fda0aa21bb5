/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_SLURM_NODE_H
#define JOBCR_DAEMON_SLURM_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* What Slurm knows of a node, and is told of it; each waits, as in slurm.h. */
struct slurm_node {
	bool drained; /* or draining: takes no new jobs */
	char reason[128];
};
int slurm_node_query(const char *libexec, const char *node,
		     struct slurm_node *ret, struct err *err);

/* uid: who asked for it, for sinfo -R. */
int slurm_node_drain(const char *libexec, const char *node, const char *reason,
		     uid_t uid, struct err *err);
int slurm_node_undrain(const char *libexec, const char *node, struct err *err);

/* A job that is on the node. */
struct slurm_node_job {
	uint32_t id;
	uid_t uid;
	char state[16]; /* running, suspended, leaving */
	uint32_t nodes;
	bool requeue;
	uint64_t start; /* Unix seconds, of the controller's clock */
};

/* *ret is owned by the caller: free. */
int slurm_node_jobs(const char *libexec, const char *node,
		    struct slurm_node_job **ret, size_t *ret_count,
		    struct err *err);

/* Where a job is; -ENOENT: slurmctld does not know it (any more). */
struct slurm_place {
	char state[24]; /* Slurm's word */
	bool held, leaving;
	char nodes[64];
};
int slurm_job_place(const char *libexec, const char *job_id,
		    struct slurm_place *ret, struct err *err);

#endif
