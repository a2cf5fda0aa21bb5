/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/parts.h"

static void tell_phase(void *arg, const char *phase)
{
	const struct operation *op = arg;
	Reply reply = REPLY__INIT;

	if (!op->req->has_events || !op->req->events)
		return;
	reply.has_more = reply.more = 1;
	reply.phase = (char *)phase;
	/* A caller that left does not stop what it asked for. */
	(void)op->reply(op->arg, &reply);
}

static bool ask_proceed(void *arg)
{
	const struct operation *op = arg;

	return !op->proceed || op->proceed(op->arg);
}

struct worker_hooks operation_hooks(const struct operation *op)
{
	return (struct worker_hooks){ .phase = tell_phase,
				      .proceed = ask_proceed,
				      .arg = (void *)op };
}

struct apart operation_apart(const struct operation *op)
{
	return (struct apart){ .conf = op->conf,
			       .uid = op->caller->uid,
			       .peer_fd = op->peer_fd };
}
