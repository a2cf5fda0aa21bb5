/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/way.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "util/cleanup.h"

/* A pid alone could be another's by the time it is read. */
struct named {
	int64_t pid;
	uint64_t start_time;
};

static int open_lock(const struct conf *conf, const char *job_id)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/jobs/%s/lock", conf->run_dir,
		       job_id);
	return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

/* 0: it has ended. */
static uint64_t start_time_of(pid_t pid)
{
	auto_close int fd = -EBADF;
	struct proc_stat st;
	struct err unused;

	return proc_open(pid, 0, &fd, &unused) == 0 &&
			       proc_read_stat(fd, &st, &unused) == 0
		       ? st.start_time
		       : 0;
}

void way_note(const struct conf *conf, const char *job_id, pid_t pid)
{
	auto_close int fd = open_lock(conf, job_id);
	const struct named n = { .pid = pid,
				 .start_time = pid ? start_time_of(pid) : 0 };

	/* Not named, it does not give way, and is waited for. */
	if (fd >= 0)
		(void)!pwrite(fd, &n, sizeof(n), 0);
}

bool way_ask(const struct conf *conf, const char *job_id)
{
	auto_close int fd = open_lock(conf, job_id);
	auto_close int pidfd = -EBADF;
	struct named n;

	if (fd < 0 || pread(fd, &n, sizeof(n), 0) != sizeof(n) || n.pid <= 1)
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)n.pid, 0);
	if (pidfd >= 0 && n.start_time &&
	    start_time_of((pid_t)n.pid) == n.start_time)
		(void)syscall(SYS_pidfd_send_signal, pidfd, WAY_SIGNAL, NULL,
			      0);
	return true;
}
