/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_LOG_H
#define JOBCR_UTIL_LOG_H

#include <stdint.h>

/* For entry points only: libraries return their errors. */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* ident is borrowed for the life of the process. */
void log_init(const char *ident, enum log_level level);

/*
 * To the journal from now on instead of stderr; where there is none, to
 * syslog.
 */
void log_to_syslog(void);

/*
 * What a line is about, as fields of the journal: JOBCR_JOB, JOBCR_EVENT,
 * JOBCR_CAUSE, JOBCR_GENERATION and MESSAGE_ID (32 hexadecimal digits).
 * NULL and 0: none.
 */
struct log_about {
	const char *job, *event, *cause, *message_id;
	uint32_t generation;
};
void log_event(enum log_level level, const struct log_about *about,
	       const char *text);

/* job may be NULL; printed first so that a log can be searched by it. */
void log_msg(enum log_level level, const char *job, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(job, ...)   log_msg(LOG_LEVEL_ERROR, job, __VA_ARGS__)
#define log_warning(job, ...) log_msg(LOG_LEVEL_WARNING, job, __VA_ARGS__)
#define log_info(job, ...)    log_msg(LOG_LEVEL_INFO, job, __VA_ARGS__)
#define log_debug(job, ...)   log_msg(LOG_LEVEL_DEBUG, job, __VA_ARGS__)

#endif
