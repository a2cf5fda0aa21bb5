/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_ANSWER_H
#define JOBCR_DAEMON_ANSWER_H

#include "conf/conf.h"
#include "wire/ask.h"

/*
 * Answer a launch: has the job a snapshot?  Looks into the store with the
 * job's user's rights and may wait for it: in a child of jobcrd only.  fd is
 * taken.
 */
void answer_launch(const struct conf *conf, const struct ask_question *q,
		   int fd);

#endif
