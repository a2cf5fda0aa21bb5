/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_METRICS_H
#define JOBCR_DAEMON_METRICS_H

#include "conf/conf.h"
#include "util/err.h"

/*
 * In a child of jobcrd: write MetricsFile anew, in the text format of
 * Prometheus, under another name first.  The value is what the child ends
 * with.
 */
int metrics_write(const struct conf *conf);

#endif
