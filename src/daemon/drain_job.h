/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_DRAIN_JOB_H
#define JOBCR_DAEMON_DRAIN_JOB_H

#include "conf/conf.h"
#include "daemon/drain_table.h"

/* What a drain does with one job; the row says what came of it. */

/* How much memory it has, and how long its snapshot may take. */
void drain_job_predict(const struct conf *conf, struct drain_row *row);

/* A dry run: would it be saved?  The job is not touched. */
void drain_job_look(const struct conf *conf, struct drain_table *t,
		    struct drain_row *row);

/* Save and requeue it: in a child, for as long as it takes. */
void drain_job_save(const struct conf *conf, struct drain_table *t,
		    struct drain_row *row);

#endif
