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

/* Whatever a text quotes: it is one line, and no command to a terminal. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 32 || *text == 127)
			*text = ' ';
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
	make_plain(text);
	if (log_syslog)
		syslog(priority[level], "%s%s%s", job ? job : "",
		       job ? ": " : "", text);
	else
		fprintf(stderr, "%s: %s%s%s%s\n", log_ident, name[level],
			job ? job : "", job ? ": " : "", text);
}
