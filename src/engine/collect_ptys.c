// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals of a tree, and whom they control. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/collect.h"
#include "util/devpts.h"

#define PTS_MAJOR 136

static const struct collected_file *find_master(const struct collection *c,
						uint32_t index)
{
	struct err unused;
	uint64_t number;

	for (size_t i = 0; i < c->nfiles; i++)
		if (c->files[i].fdinfo &&
		    strstr(c->files[i].fdinfo, "tty-index") &&
		    proc_text_u64(c->files[i].fdinfo, "tty-index", 10, &number,
				  &unused) == 0 &&
		    number == index)
			return &c->files[i];
	return NULL;
}

int collection_pty_master(const struct collection *c, uint32_t index)
{
	const struct collected_file *f = find_master(c, index);

	return f ? (int)syscall(SYS_pidfd_getfd, c->tasks[f->task].view.pidfd,
				f->fd, 0)
		 : -1;
}

bool collection_controls(const struct collection *c, uint32_t tty_nr)
{
	return ((tty_nr >> 8) & 0xfff) == PTS_MAJOR &&
	       find_master(c, (tty_nr & 0xff) | ((tty_nr >> 12) & ~0xffu));
}

bool collection_inode_open(const struct collection *c, dev_t dev, uint64_t ino)
{
	for (size_t i = 0; i < c->nfiles; i++)
		if (c->files[i].dev == dev && c->files[i].ino == ino)
			return true;
	return false;
}

uint32_t collection_session_tty(const struct collection *c, pid_t session)
{
	for (size_t i = 0; i < c->ntasks; i++)
		if (c->tasks[i].view.pid == session)
			return c->tasks[i].view.stat->tty_nr;
	return 0;
}

pid_t collection_ns_group(const struct collection *c, pid_t group)
{
	for (size_t i = 0; i < c->ntasks; i++)
		if (c->tasks[i].view.stat->pgid == group)
			return c->tasks[i].view.status->ns_pgid;
	return 0;
}

/* That of the node is not the job's to have numbers in. */
int collect_open_pts(pid_t pid)
{
	char path[64];

	if (!devpts_is_own(pid))
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/root/dev/pts", (int)pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}
