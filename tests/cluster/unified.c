/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into slurmd of a node that is to have cgroup v2 only, on a host
 * that has v1 hierarchies as well: its plugin for v2 refuses to work when
 * /proc/self/cgroup shows one, and no mount hides that.  Here only the line
 * of v2 is shown.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define V2_LINE "0::"

typedef int (*open_fn)(const char *path, int flags, ...);

/* A file of its own, with the one line. */
static int show_v2(open_fn real, int flags)
{
	int fd = real("/proc/self/cgroup", flags), shown;
	char text[8192], *line;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	shown = memfd_create("cgroup", 0);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, V2_LINE, strlen(V2_LINE)) == 0)
			dprintf(shown, "%s\n", line);
	(void)lseek(shown, 0, SEEK_SET);
	return shown;
}

static int open_as(const char *name, const char *path, int flags, mode_t mode)
{
	open_fn real = (open_fn)dlsym(RTLD_NEXT, name);

	if (strcmp(path, "/proc/self/cgroup") == 0)
		return show_v2(real, flags);
	return real(path, flags, mode);
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return open_as("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return open_as("open64", path, flags, mode);
}
