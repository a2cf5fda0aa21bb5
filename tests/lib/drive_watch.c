/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drive_watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int drive_watch_take(int kept, const char *base, struct watches *ret)
{
	struct err unused;

	memset(ret, 0, sizeof(*ret));
	if (kept < 0 || watches_unpack(kept, ret, &unused) < 0)
		return -1;
	return open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void drive_watch_give(int keep, struct watches *watches)
{
	struct err err = { 0 };

	if (watches->count && watches_send(watches, keep, &err) < 0)
		fprintf(stderr, "watches: %s\n", err.text);
}
