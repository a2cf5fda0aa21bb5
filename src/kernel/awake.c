/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/awake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

/* Microseconds that waking up may take; the kernel's own choice. */
#define AT_ONCE  0
#define WHATEVER (-1)

int awake_begin(void)
{
	const int32_t value = AT_ONCE;
	int fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, &value, sizeof(value)) == (ssize_t)sizeof(value))
		return fd;
	close(fd);
	return -EIO;
}

void awake_end(int *fd)
{
	const int32_t value = WHATEVER;

	if (*fd > 0) {
		/* Children may have it, too. */
		(void)!write(*fd, &value, sizeof(value));
		close(*fd);
	}
	*fd = 0;
}
