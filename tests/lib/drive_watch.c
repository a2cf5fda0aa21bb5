/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drive_watch.h"
#include "drive.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "snapshot/snapshot.h"

static enum engine_watch mode = ENGINE_WATCH_NONE;

void drive_watch(bool on)
{
	mode = on ? ENGINE_WATCH_AUTO : ENGINE_WATCH_NONE;
}

enum engine_watch drive_watch_mode(void)
{
	return mode;
}

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

uint32_t drive_watch_generation(int dir_fd)
{
	ManifestRecord *m;
	struct err unused;
	uint32_t generation;

	if (snapshot_manifest(dir_fd, NULL, &m, &unused) < 0)
		return 0;
	generation = m->generation;
	manifest_record__free_unpacked(m, NULL);
	return generation;
}
