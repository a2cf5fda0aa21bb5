/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose watch is on a mapping is found out without putting one on anything: a
 * job that runs may have mapped a file in its place since it was looked at.
 */
#include "engine/watching.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/userfault.h"
#include "kernel/written.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define LEN 16384u

static struct frozen_task process = { .stat = { .start_time = 1 } };
static struct vma seen;
static struct watches watches;

static int make_watch(void)
{
	int fd = (int)syscall(SYS_userfaultfd, USERFAULT_FLAGS);
	struct err unused;

	return fd >= 0 && written_begin(fd, &unused) == 0 ? fd : -1;
}

static bool watched_by(int fd, const void *at)
{
	uint64_t start = (uint64_t)(uintptr_t)at;

	return written_watch(fd, start, start + LEN) == 0;
}

/* Does the kernel say that the mapping at this address is watched? */
static bool says_watched(const void *at)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long start, end, here = (uintptr_t)at;
	bool within = false, says = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
			within = here >= start && here < end;
		else if (within && strncmp(line, "VmFlags:", 8) == 0)
			says = strstr(line, " uw") != NULL;
	}
	if (f)
		fclose(f);
	return says;
}

/* As what was seen of the process tells; frozen: it stands. */
static bool claims(const void *at, bool frozen)
{
	struct collected_task task = {
		.frozen = &process,
		.vmas = { .v = &seen, .count = 1 },
	};
	struct collection c = { .frozen = frozen, .tasks = &task, .ntasks = 1 };

	seen = (struct vma){
		.start = (uint64_t)(uintptr_t)at,
		.end = (uint64_t)(uintptr_t)at + LEN,
		.flags = VMA_UFFD_WRITES,
	};
	watching_claim(&watches, &c);
	return seen.watched && !(seen.flags & VMA_UFFD_WRITES);
}

static void *map(void *at, int fd)
{
	return mmap(at, LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0) |
			    (at ? MAP_FIXED : 0),
		    fd, 0);
}

int main(void)
{
	auto_close int file = memfd_create("file", MFD_CLOEXEC);
	uint8_t *ours, *others;
	int fd, other;

	if (!written_supported()) {
		skip("this kernel does not tell what was written");
		return done_testing();
	}
	process.pid = getpid();
	fd = make_watch();
	other = make_watch();
	watches_add(&watches, process.pid, 1, fd);
	ours = map(NULL, -1);
	others = map(NULL, -1);
	ok(file >= 0 && ftruncate(file, LEN) == 0 && fd >= 0 && other >= 0 &&
		   ours != MAP_FAILED && others != MAP_FAILED &&
		   watched_by(fd, ours) && watched_by(other, others),
	   "two mappings, watched by two");
	ok(claims(ours, false) && claims(ours, true), "ours is known");
	ok(claims(others, false),
	   "another's is taken for ours while the job runs,");
	ok(!claims(others, true), "and refused when it stands");
	watches_add(&watches, process.pid, 1, fd = make_watch());
	ours = map(NULL, -1);
	(void)watched_by(fd, ours);
	map(ours, file);
	ok(claims(ours, false) && !says_watched(ours),
	   "a file that was mapped there since is not watched by that");
	map(ours, -1);
	ok(claims(ours, false) && !says_watched(ours), "nor is other memory");
	watches_done(&watches);
	close(other);
	return done_testing();
}
