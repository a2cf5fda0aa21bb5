/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/lib/forge.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "engine/vdso.h"
#include "images/part.pb-c.h"
#include "images/tags.h"
#include "tests/lib/edit.h"

#define JUMP  12 /* at an entry that leads elsewhere */
#define ENTRY 22 /* or system calls, at most */
#define TRAP  0xcc

static void forge_part(PartRecord *part, bool slightly)
{
	const struct vdso_image image = { part->vdso_image.data,
					  part->vdso_image.len };
	struct vdso_function list[VDSO_FUNCTIONS];
	struct err err = { 0 };
	size_t n = 0;

	if (vdso_functions(&image, list, &n, &err) < 0)
		exit(99);
	for (size_t i = 0; i < n; i++)
		memset(part->vdso_image.data + list[i].offset + JUMP, TRAP,
		       (slightly ? ENTRY : list[i].room) - JUMP);
	if (vdso_digest(&image, part->vdso_digest.data, &err) < 0)
		exit(99);
}

static void forge(void *arg, uint32_t tag, ProtobufCMessage *msg,
		  struct edit_more *ret)
{
	const bool *slightly = arg;

	(void)ret;
	if (tag == TAG_PART)
		forge_part((PartRecord *)msg, *slightly);
}

int forge_kernel(const char *dir, bool slightly, struct err *err)
{
	return snapshot_edit(dir, forge, &slightly, err);
}

static bool is_elf(int pid, unsigned long at)
{
	char magic[SELFMAG] = "";
	struct iovec to = { magic, sizeof(magic) };
	struct iovec from = { (void *)at, sizeof(magic) };

	return process_vm_readv(pid, &to, 1, &from, 1, 0) == SELFMAG &&
	       memcmp(magic, ELFMAG, SELFMAG) == 0;
}

int forge_count(int pid)
{
	unsigned long start, inode;
	char path[64], line[512], prot[8];
	int count = 0, end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%*x %7s %*x %*s %lu %n", &start, prot,
			   &inode, &end) == 3 &&
		    strcmp(prot, "r-xp") == 0 && inode == 0 && !line[end] &&
		    is_elf(pid, start))
			count++;
	fclose(f);
	return count;
}
