/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/inlet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel/userfault.h"
#include "util/cleanup.h"

#define HUGE_POLICY "/sys/kernel/mm/transparent_hugepage/"

#define TRIES 100 /* where mappings change at that moment */

int inlet_begin(int fd)
{
	struct uffdio_api api = { .api = UFFD_API };

	return ioctl(fd, UFFDIO_API, &api) < 0 ? -errno : 0;
}

int inlet_open(int fd, uint64_t start, uint64_t end)
{
	struct uffdio_register arg = {
		.range = { .start = start, .len = end - start },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	int r = ioctl(fd, UFFDIO_REGISTER, &arg) < 0 ? -errno : 0;

	/* Some of several mappings may be open: none of them shall be. */
	if (r < 0)
		(void)ioctl(fd, UFFDIO_UNREGISTER, &arg.range);
	return r;
}

int inlet_put(int fd, uint64_t at, const uint8_t *data, size_t len,
	      size_t *ret_done)
{
	int tries = 0;

	*ret_done = 0;
	while (*ret_done < len) {
		struct uffdio_copy arg = {
			.dst = at + *ret_done,
			.src = (uintptr_t)data + *ret_done,
			.len = len - *ret_done,
			.mode = UFFDIO_COPY_MODE_DONTWAKE,
		};

		if (ioctl(fd, UFFDIO_COPY, &arg) == 0)
			arg.copy = (int64_t)arg.len;
		else if (errno != EAGAIN)
			return -errno;
		/* So far it came. */
		if (arg.copy > 0)
			*ret_done += (size_t)arg.copy;
		else if (tries++ == TRIES)
			return -EAGAIN;
	}
	return 0;
}

static bool is_always(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[64] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	       strstr(text, "[always]");
}

/* Linux 6.8 has a policy for each size, too. */
bool inlet_huge_anyway(void)
{
	return is_always(HUGE_POLICY "enabled") ||
	       is_always(HUGE_POLICY "hugepages-2048kB/enabled");
}
