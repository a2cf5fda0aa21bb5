/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clocks.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

static int write_offset(int fd, const char *clock, int64_t ns)
{
	int64_t sec = ns / (int64_t)NSEC_PER_SEC;
	int64_t rest = ns % (int64_t)NSEC_PER_SEC;
	char text[96];

	if (rest < 0) {
		sec--;
		rest += (int64_t)NSEC_PER_SEC;
	}
	snprintf(text, sizeof(text), "%s %lld %lld\n", clock, (long long)sec,
		 (long long)rest);
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int64_t clocks_set(int64_t monotonic, int64_t boottime)
{
	auto_close int fd = -EBADF;
	int r;

	if (unshare(CLONE_NEWTIME) < 0)
		return -errno;
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_offset(fd, "monotonic", monotonic);
	if (r < 0)
		return r;
	return write_offset(fd, "boottime", boottime);
}
