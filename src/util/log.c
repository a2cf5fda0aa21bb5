/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static const char *log_ident = "jobcr";
static enum log_level log_limit = LOG_LEVEL_INFO;
static int log_syslog;

void log_init(const char *ident, enum log_level level)
{
	log_ident = ident;
	log_limit = level;
}

void log_to_syslog(void)
{
	openlog(log_ident, LOG_PID, LOG_DAEMON);
	log_syslog = 1;
}

void log_msg(enum log_level level, const char *job, const char *fmt, ...)
{
	static const int priority[] = { LOG_ERR, LOG_WARNING, LOG_INFO,
					LOG_DEBUG };
	static const char *const name[] = { "error: ", "warning: ", "", "" };
	char text[1536];
	va_list ap;

	if (level > log_limit)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (log_syslog)
		syslog(priority[level], "%s%s%s", job ? job : "",
		       job ? ": " : "", text);
	else
		fprintf(stderr, "%s: %s%s%s%s\n", log_ident, name[level],
			job ? job : "", job ? ": " : "", text);
}
