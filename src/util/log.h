/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_LOG_H
#define JOBCR_UTIL_LOG_H

/* For entry points only: libraries return their errors. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
		 LOG_LEVEL_DEBUG };

/* ident is borrowed for the life of the process. */
void log_init(const char *ident, enum log_level level);

/* To syslog from now on instead of stderr. */
void log_to_syslog(void);

/* job may be NULL; printed first so that a log can be searched by it. */
void log_msg(enum log_level level, const char *job, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(job, ...)   log_msg(LOG_LEVEL_ERROR, job, __VA_ARGS__)
#define log_warning(job, ...) log_msg(LOG_LEVEL_WARNING, job, __VA_ARGS__)
#define log_info(job, ...)    log_msg(LOG_LEVEL_INFO, job, __VA_ARGS__)
#define log_debug(job, ...)   log_msg(LOG_LEVEL_DEBUG, job, __VA_ARGS__)

#endif
