/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_CLEANUP_H
#define JOBCR_UTIL_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Release at the end of the scope.  Initialise every such variable where it
 * is declared: descriptors with -EBADF, pointers with NULL.  One that is only
 * there to be released is not unused.
 */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define auto_close    __attribute__((cleanup(cleanup_close), unused))
#define auto_free     __attribute__((cleanup(cleanup_free), unused))
#define auto_fclose   __attribute__((cleanup(cleanup_fclose), unused))
#define auto_closedir __attribute__((cleanup(cleanup_closedir), unused))

/* Hand a descriptor over: the scope no longer closes it. */
static inline int take_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/* Hand a pointer over: the scope no longer frees it. */
#define take_ptr(p)                          \
	({                                   \
		__typeof__(p) take_v = (p);  \
		(p) = NULL;                  \
		take_v;                      \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
