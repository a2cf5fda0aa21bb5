/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/hint.h"

#include "daemon/preempt.h"
#include "daemon/retire.h"
#include "daemon/revive.h"
#include "daemon/server.h"

int hint_follow(const struct conf *conf, const struct notify *n)
{
	if (n->event == NOTIFY_ENDED)
		return retire_ended(conf, n->job_id);
	if (n->event == NOTIFY_TURN)
		return n->value ? turn_limit(conf, n->job_id)
				: turn_interval(conf, n->job_id);
	if (n->event == NOTIFY_RESTORE)
		return revive_job(conf, n->job_id);
	return preempt_checkpoint(conf, n->job_id);
}
