/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/history.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define NAME       "history"
#define LINE_SIZE  (HISTORY_TEXT + 128)
#define READ_MAX   (1u << 20)
#define EVENTS_MAX 8192

/* What would end the line, or fool a terminal, is a blank. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = ' ';
}

int history_append(int job_fd, const struct user_id *user,
		   const struct history_event *event, struct err *err)
{
	auto_close int fd = -EBADF;
	char line[LINE_SIZE];
	int n, r = as_user(user, err);

	if (r < 0)
		return r;
	fd = openat(job_fd, NAME,
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			    O_NONBLOCK,
		    0600);
	if (fd < 0)
		r = err_sys(err, "%s", NAME);
	as_root();
	if (r < 0)
		return r;
	n = snprintf(line, sizeof(line) - 1, "%" PRIu64 " %s %s %u %s",
		     event->at_ns, event->node, event->kind, event->generation,
		     event->text);
	if (n < 0 || (size_t)n >= sizeof(line) - 1)
		n = sizeof(line) - 2;
	line[n] = '\0';
	make_plain(line);
	line[n] = '\n';
	return write(fd, line, (size_t)n + 1) == n + 1
		       ? 0
		       : err_sys(err, "%s: write", NAME);
}

static int parse_line(char *line, struct history_event *ret)
{
	int at = 0;

	memset(ret, 0, sizeof(*ret));
	make_plain(line);
	if (sscanf(line, "%20" SCNu64 " %63s %23s %10u %n", &ret->at_ns,
		   ret->node, ret->kind, &ret->generation, &at) != 4 ||
	    !at)
		return -EBADMSG;
	snprintf(ret->text, sizeof(ret->text), "%s", line + at);
	return 0;
}

static int open_history(int job_fd, const struct user_id *user, off_t *ret_size,
			struct err *err)
{
	auto_close int fd = -EBADF;
	struct stat st;
	int r = as_user(user, err);

	if (r < 0)
		return r;
	fd = openat(job_fd, NAME,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		r = err_sys(err, "%s", NAME);
	else if (!S_ISREG(st.st_mode))
		r = err_set(err, -EBADMSG, "%s: not a regular file", NAME);
	as_root();
	if (r < 0)
		return r;
	*ret_size = st.st_size;
	return take_fd(&fd);
}

static size_t parse_all(char *text, struct history_event *events)
{
	char *rest = text, *line;
	size_t n = 0;

	while (n < EVENTS_MAX && (line = strsep(&rest, "\n")))
		if (parse_line(line, &events[n]) == 0)
			n++;
	return n;
}

int history_read(int job_fd, const struct user_id *user,
		 struct history_event **ret, size_t *ret_count, struct err *err)
{
	auto_free struct history_event *events = NULL;
	auto_free char *text = NULL;
	auto_close int fd = -EBADF;
	off_t size = 0;
	ssize_t n;

	fd = open_history(job_fd, user, &size, err);
	if (fd < 0)
		return fd;
	text = malloc(READ_MAX + 1);
	events = calloc(EVENTS_MAX, sizeof(*events));
	if (!text || !events)
		return err_num(err, ENOMEM, "%s", NAME);
	n = pread(fd, text, READ_MAX, size > READ_MAX ? size - READ_MAX : 0);
	if (n < 0)
		return err_sys(err, "%s: read", NAME);
	text[n] = '\0';
	*ret_count = parse_all(text, events);
	*ret = events;
	events = NULL;
	return 0;
}
