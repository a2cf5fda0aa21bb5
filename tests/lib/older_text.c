/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc says under an older kernel. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "older.h"
#include "util/io.h"

/* The linker gives these two their names. */
int __real_read_file_at(int dir_fd, const char *name, size_t limit,
			char **ret_data, size_t *ret_len, struct err *err);
int __wrap_read_file_at(int dir_fd, const char *name, size_t limit,
			char **ret_data, size_t *ret_len, struct err *err);

static void cut_line(char *text, size_t *len, const char *name)
{
	char *line = strstr(text, name),
	     *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return;
	memmove(line, end + 1, *len - (size_t)(end - text));
	*len -= (size_t)(end + 1 - line);
}

static int put_failed(char **data, size_t *len)
{
	char *text = NULL;
	int n = asprintf(&text, "HardwareCorrupted:     4 kB\n%s", *data);

	if (n < 0)
		return -ENOMEM;
	free(*data);
	*data = text;
	if (len)
		*len = (size_t)n;
	return 0;
}

int __wrap_read_file_at(int dir_fd, const char *name, size_t limit,
			char **ret_data, size_t *ret_len, struct err *err)
{
	int r = __real_read_file_at(dir_fd, name, limit, ret_data, ret_len,
				    err);

	if (r == 0 && ret_len && older_is_on() && strstr(name, "fdinfo/"))
		cut_line(*ret_data, ret_len, "eventfd-semaphore:");
	if (r == 0 && older_has_failed() && strcmp(name, "/proc/meminfo") == 0)
		r = put_failed(ret_data, ret_len);
	return r;
}
