/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/plain.h"

#define JOURNAL "/run/systemd/journal/socket"

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
	log_syslog = 1;
}

static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Fields of one datagram of the journal's native protocol. */
struct fields {
	char text[4096];
	size_t len;
};

/* A value with a newline would need another form: there is none here. */
static void add_field(struct fields *f, const char *name, const char *value)
{
	size_t room = sizeof(f->text) - f->len;
	int n = value && *value
			? snprintf(f->text + f->len, room, "%s=%s", name, value)
			: 0;

	if (n <= 0 || (size_t)n + 1 >= room)
		return;
	plain_make(f->text + f->len, ' ');
	f->len += (size_t)n;
	f->text[f->len++] = '\n';
}

/*
 * Neither leaves a socket open: what a child of ours closes, and opens again
 * as something else, would be taken for it.
 */
static void to_syslog(enum log_level level, const char *text)
{
	openlog(log_ident, LOG_PID, LOG_DAEMON);
	syslog(priorities[level], "%s", text);
	closelog();
}

/* By its own protocol, which needs no library. */
static bool to_journal(enum log_level level, const struct log_about *about,
		       const char *text)
{
	const struct sockaddr_un at = { .sun_family = AF_UNIX,
					.sun_path = JOURNAL };
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct fields f = { .len = 0 };
	char number[16];

	snprintf(number, sizeof(number), "%d", priorities[level]);
	add_field(&f, "PRIORITY", number);
	add_field(&f, "SYSLOG_IDENTIFIER", log_ident);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	add_field(&f, "SYSLOG_PID", number);
	add_field(&f, "JOBCR_JOB", about->job);
	add_field(&f, "JOBCR_EVENT", about->event);
	add_field(&f, "JOBCR_CAUSE", about->cause);
	snprintf(number, sizeof(number), "%u", about->generation);
	add_field(&f, "JOBCR_GENERATION", about->generation ? number : NULL);
	add_field(&f, "MESSAGE_ID", about->message_id);
	add_field(&f, "MESSAGE", text);
	return fd >= 0 && sendto(fd, f.text, f.len, MSG_NOSIGNAL | MSG_DONTWAIT,
				 (const struct sockaddr *)&at,
				 sizeof(at)) == (ssize_t)f.len;
}

void log_event(enum log_level level, const struct log_about *about,
	       const char *text)
{
	static const char *const name[] = { "error: ", "warning: ", "", "" };
	char line[1664];

	if (level > log_limit)
		return;
	snprintf(line, sizeof(line), "%s%s%.1536s",
		 about->job ? about->job : "", about->job ? ": " : "", text);
	plain_make(line, ' ');
	if (!log_syslog)
		fprintf(stderr, "%s: %s%s\n", log_ident, name[level], line);
	else if (!to_journal(level, about, line))
		to_syslog(level, line);
}

void log_msg(enum log_level level, const char *job, const char *fmt, ...)
{
	const struct log_about about = { .job = job };
	char text[1536];
	va_list ap;

	if (level > log_limit)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_event(level, &about, text);
}
