/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "worker/worker.h"

static const char name[] = "ended";

/* Where nothing can be written nothing is known. */
void work_mark_ended(const struct work *w)
{
	struct err unused;
	int fd;

	if (as_user(&w->owner, &unused) < 0)
		return;
	fd = openat(w->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd >= 0)
		close(fd);
	as_root();
}

void work_unmark_ended(const struct work *w)
{
	struct err unused;

	if (as_user(&w->owner, &unused) < 0)
		return;
	(void)unlinkat(w->dir_fd, name, 0);
	as_root();
}

bool work_is_ended(const struct work *w)
{
	struct err unused;
	bool found;

	if (as_user(&w->owner, &unused) < 0)
		return false;
	found = faccessat(w->dir_fd, name, F_OK, AT_EACCESS) == 0;
	as_root();
	return found;
}
