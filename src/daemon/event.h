/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_EVENT_H
#define JOBCR_DAEMON_EVENT_H

#include <stdint.h>

#include "conf/conf.h"
#include "wire/control.h"

/*
 * Something happened in the life of a job: one line in the log and one in the
 * job's history in the store, which is written with the rights of its user by
 * a process of its own.  A store that is away or hangs costs the caller a
 * quarter of a second and fails nothing.
 *
 * The kind is one short word; those that event.c knows have a level in the
 * log, all others are information.  generation 0: it is about none.
 */
#define event_note(conf, info, kind, generation, ...)                          \
	event_note_cause(conf, info, kind, NULL, generation, __VA_ARGS__)

/* The same with the cause of a checkpoint, for the journal. */
void event_note_cause(const struct conf *conf, const struct control_info *info,
		      const char *kind, const char *cause, uint32_t generation,
		      const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

#endif
