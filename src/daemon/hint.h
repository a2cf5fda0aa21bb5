/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_HINT_H
#define JOBCR_DAEMON_HINT_H

#include "conf/conf.h"
#include "wire/notify.h"

/* In a child: what is to be done about it.  Returns what the child ends with.
 */
int hint_follow(const struct conf *conf, const struct notify *n);

#endif
