/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_OPERATION_CHRONICLE_H
#define JOBCR_OPERATION_CHRONICLE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "src/wire/request.pb-c.h"
#include "wire/control.h"

/*
 * A line for the job's history in the store, written with the rights of its
 * user by a process of its own.  A store that is away or hangs costs the
 * caller a quarter of a second and fails nothing.  generation 0: none.
 */
void chronicle_add(const struct conf *conf, const struct control_info *info,
		   const char *kind, uint32_t generation, const char *text);

/*
 * An output file is not kept, as a checkpoint's outcome says: is that news in
 * this run of the job?  Once it was asked it is none.
 */
bool chronicle_not_kept(const struct conf *conf,
			const struct control_info *info, const Outcome *o);

/*
 * The kernel cannot tell what was written, so all is saved each time: is that
 * news in this run of the job?  Once it was asked it is none.
 */
#define CHRONICLE_NOT_WATCHED "each snapshot has all of the memory: %s"
bool chronicle_not_watched(const struct conf *conf,
			   const struct control_info *info, const Outcome *o);

/*
 * The outcome of a "checkpoint" (with its cause) or a "restore" (NULL) as one
 * line.
 */
#define CHRONICLE_TEXT 256
void chronicle_describe(const char *what, const char *cause, const Outcome *o,
			char ret[CHRONICLE_TEXT]);

/* A snapshot that was to be in the fast directory is in the store: why. */
#define CHRONICLE_NOT_FAST "in the store, not in the fast directory: %s"

/* What a restore did with files, if anything: events of the history. */
void chronicle_files(const struct conf *conf, const struct control_info *info,
		     const Outcome *o);

#endif
