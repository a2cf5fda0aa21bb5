/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/small.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/plain.h"

#define NAME       "history"
#define LINE_SIZE  (HISTORY_TEXT + 128)
#define READ_MAX   (1u << 20)
#define EVENTS_MAX 8192

/*
 * A file that has grown to TRIM_AT keeps how the job began and its newest
 * events: so each byte is copied once, and it never comes near READ_MAX.
 */
#define TRIM_AT    (512u << 10)
#define KEEP_FIRST (8u << 10)
#define KEEP_LAST  (256u << 10)

/* How much of text is whole lines. */
static size_t whole_lines(const char *text, size_t len)
{
	while (len && text[len - 1] != '\n')
		len--;
	return len;
}

/* Of a piece of the file that begins anywhere: from the first whole line. */
static size_t line_begin(const char *text, size_t len)
{
	const char *end = memchr(text, '\n', len);

	return end ? (size_t)(end - text) + 1 : len;
}

/*
 * What others append while we copy goes to the old file, by the name it had;
 * it is copied behind.  A line may still be lost in that moment, which nothing
 * depends on.
 */
static int copy_rest(int job_fd, int old_fd, off_t from, struct err *err)
{
	auto_close int fd = -EBADF;
	char rest[8192];
	ssize_t n = pread(old_fd, rest, sizeof(rest), from);

	if (n <= 0)
		return 0;
	fd = openat(job_fd, NAME, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(err, "%s", NAME)
		      : write_all(fd, rest, (size_t)n, err);
}

/* fd: the file, open for reading, locked while this is done. */
static int trim(int job_fd, const struct user_id *user, int fd, off_t size,
		struct err *err)
{
	auto_free char *text = malloc(KEEP_FIRST + KEEP_LAST);
	ssize_t first, last;
	size_t n, skip;
	int r;

	if (!text)
		return err_num(err, ENOMEM, "%s", NAME);
	first = pread(fd, text, KEEP_FIRST, 0);
	n = first > 0 ? whole_lines(text, (size_t)first) : 0;
	last = pread(fd, text + n, KEEP_LAST, size - KEEP_LAST);
	if (first < 0 || last < 0)
		return err_sys(err, "%s: read", NAME);
	skip = line_begin(text + n, (size_t)last);
	memmove(text + n, text + n + skip, (size_t)last - skip);
	n += (size_t)last - skip;
	r = small_write(job_fd, user, NAME, text, n, err);
	if (r == 0)
		r = begin_as(user, err);
	if (r < 0)
		return r;
	r = copy_rest(job_fd, fd, size - KEEP_LAST + last, err);
	end_as(user);
	return r;
}

/* Its event is written; a file that cannot be cut is only too long. */
static void bound(int job_fd, const struct user_id *user, int fd)
{
	struct err unused;
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size >= TRIM_AT &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)trim(job_fd, user, fd, st.st_size, &unused);
}

int history_append(int job_fd, const struct user_id *user,
		   const struct history_event *event, struct err *err)
{
	auto_close int fd = -EBADF;
	struct stat st;
	char line[LINE_SIZE];
	int n, r = as_user(user, err);

	if (r < 0)
		return r;
	fd = openat(job_fd, NAME,
		    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			    O_NONBLOCK,
		    0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		r = err_sys(err, "%s", NAME);
	else if (!S_ISREG(st.st_mode))
		r = err_set(err, -EBADMSG, "%s: not a regular file", NAME);
	as_root();
	if (r < 0)
		return r;
	n = snprintf(line, sizeof(line) - 1, "%" PRIu64 " %s %s %u %s",
		     event->at_ns, event->node, event->kind, event->generation,
		     event->text);
	if (n < 0 || (size_t)n >= sizeof(line) - 1)
		n = sizeof(line) - 2;
	line[n] = '\0';
	plain_make(line, ' ');
	line[n] = '\n';
	if (write(fd, line, (size_t)n + 1) != n + 1)
		return err_sys(err, "%s: write", NAME);
	bound(job_fd, user, fd);
	return 0;
}

static int parse_line(char *line, struct history_event *ret)
{
	int at = 0;

	memset(ret, 0, sizeof(*ret));
	plain_make(line, ' ');
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
	*ret_count = parse_all(
		text + (size > READ_MAX ? line_begin(text, (size_t)n) : 0),
		events);
	*ret = events;
	events = NULL;
	return 0;
}
