// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices of memory: null, zero, full, random, urandom. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../lib/victim.h"

static int open_device(const char *path, int flags)
{
	int fd = open(path, flags);

	victim_need(fd >= 0, path);
	return fd;
}

int main(void)
{
	static const char none[16];
	int null = open_device("/dev/null", O_RDWR | O_APPEND);
	int zero = open_device("/dev/zero", O_RDONLY | O_NONBLOCK);
	int full = open_device("/dev/full", O_WRONLY);
	int urandom = open_device("/dev/urandom", O_RDONLY);
	int random = open_device("/dev/random", O_RDONLY | O_NONBLOCK);
	char buf[16];

	victim_wait();

	victim_check(write(null, "gone", 4) == 4 && read(null, buf, 4) == 0 &&
			     (fcntl(null, F_GETFL) & O_APPEND),
		     "/dev/null");
	memset(buf, 1, sizeof(buf));
	victim_check(read(zero, buf, sizeof(buf)) == sizeof(buf) &&
			     !memcmp(buf, none, sizeof(buf)) &&
			     (fcntl(zero, F_GETFL) & O_NONBLOCK),
		     "/dev/zero");
	victim_check(write(full, "x", 1) < 0 && errno == ENOSPC &&
			     read(full, buf, 1) < 0,
		     "/dev/full");
	victim_check(read(urandom, buf, sizeof(buf)) == sizeof(buf) &&
			     memcmp(buf, none, sizeof(buf)) != 0,
		     "/dev/urandom");
	victim_check(read(random, buf, 8) == 8, "/dev/random");
	victim_verdict(true, "devices of memory are there again");
}
