/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc says under an older kernel. */
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

int __wrap_read_file_at(int dir_fd, const char *name, size_t limit,
			char **ret_data, size_t *ret_len, struct err *err)
{
	int r = __real_read_file_at(dir_fd, name, limit, ret_data, ret_len,
				    err);

	if (r == 0 && older_is_on() && strstr(name, "fdinfo/"))
		cut_line(*ret_data, ret_len, "eventfd-semaphore:");
	return r;
}
