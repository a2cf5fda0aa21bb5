/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/residence.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define PAGE  4096u
#define NODES 64

#define STATUS_MAX (64u << 10)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

uint64_t residence_ask(pid_t pid, void *const *pages, size_t n)
{
	int nodes[RESIDENCE_SAMPLES];
	uint64_t mask = 0;

	/* Without nodes to move them to: it only tells. */
	if (syscall(SYS_move_pages, pid, n, pages, NULL, nodes, 0) < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (nodes[i] >= 0 && nodes[i] < NODES)
			mask |= 1ull << nodes[i];
	return mask;
}

uint64_t residence_of(pid_t pid, uint64_t address, size_t pages)
{
	const size_t step = residence_step(pages);
	void *asked[RESIDENCE_SAMPLES];
	size_t n = 0;

	for (size_t i = 0; i < pages && n < RESIDENCE_SAMPLES; i += step)
		asked[n++] = (void *)(address + i * PAGE);
	return residence_ask(pid, asked, n);
}

/* Only what is mapped is found, and touched without a signal: it may shrink. */
uint64_t residence_of_file(int fd, uint64_t offset, size_t pages)
{
	const size_t len = pages * PAGE;
	uint64_t mask = 0;
	struct statfs st;
	void *at;

	if (fstatfs(fd, &st) < 0 || st.f_type != TMPFS_MAGIC || !len)
		return 0;
	at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (at == MAP_FAILED)
		return 0;
	if (madvise(at, len, MADV_POPULATE_READ) == 0)
		mask = residence_of(0, (uint64_t)at, pages);
	(void)munmap(at, len);
	return mask;
}

/* Groups of 32 bits, the highest first: "00000000,00000003". */
static uint64_t last_groups(const char *line)
{
	const char *end = strchrnul(line, '\n');
	uint64_t mask = 0;

	for (; line < end; line += strcspn(line, ",\n") + 1)
		mask = mask << 32 | (uint32_t)strtoul(line, NULL, 16);
	return mask;
}

uint64_t residence_allowed(int proc_fd)
{
	auto_free char *text = NULL;
	const char *line;
	struct err err;

	if (read_file_at(proc_fd, "status", STATUS_MAX, &text, NULL, &err) < 0)
		return 0;
	line = strstr(text, "\nMems_allowed:\t");
	return line ? last_groups(line + strlen("\nMems_allowed:\t")) : 0;
}
