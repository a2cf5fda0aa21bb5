/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/path_map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int path_map_check(const char *word, struct err *err)
{
	const char *to = strchr(word, '=');

	if (!to || *word != '/' || to[1] != '/')
		return err_set(err, -EINVAL,
			       "\"%.200s\": OLD=NEW with absolute paths", word);
	return 0;
}

/* A slash at its end says nothing. */
static size_t length(const char *path, size_t len)
{
	while (len && path[len - 1] == '/')
		len--;
	return len;
}

int path_map_apply(char *const *words, size_t count, const char *path,
		   char *ret, size_t room, struct err *err)
{
	const char *to = "";
	size_t longest = 0;
	int n;

	for (size_t i = 0; i < count; i++) {
		const char *mark = strchr(words[i], '=');
		size_t len = length(words[i], (size_t)(mark - words[i]));

		if ((len < longest && longest) ||
		    strncmp(words[i], path, len) != 0 ||
		    (path[len] && path[len] != '/'))
			continue;
		longest = len;
		to = mark + 1;
	}
	n = snprintf(ret, room, "%.*s%s", (int)length(to, strlen(to)), to,
		     path + longest);
	if (n < 0 || (size_t)n >= room)
		return err_set(err, -ENAMETOOLONG, "%s", path);
	if (!*ret)
		(void)snprintf(ret, room, "/");
	return 0;
}
