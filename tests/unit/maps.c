/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/maps.h"
#include "kernel/proc.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/newer_mman.h"

#define PAGE 4096ul

static char dir_path[] = "/tmp/jobcr-maps.XXXXXX";

static int fake(const char *text)
{
	struct err err;
	int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd =
		openat(dir, "smaps", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write_all(fd, text, strlen(text), &err) < 0)
		abort();
	return dir;
}

/* Locked as its pages come, where a kernel older than mseal says no more. */
static void test_unnamed(void)
{
	const bool old = syscall(__NR_mseal, 0, 0, 0) < 0 && errno == ENOSYS;
	auto_close int dir =
		fake("1000-3000 rw-p 00000000 00:00 0\nVmFlags: rd wr lo ?? \n"
		     "3000-4000 rw-p 00000000 00:00 0\nVmFlags: rd wr ?? \n");
	struct vma_list list = { 0 };
	struct err err = { 0 };

	ok(maps_read(dir, &list, &err) == 0 && list.count == 2 &&
		   list.v[0].flags == (VMA_LOCKED |
				       (old ? VMA_LOCKONFAULT : VMA_UNKNOWN)) &&
		   list.v[1].flags == VMA_UNKNOWN,
	   "a flag without a name: %s", err.text);
	maps_done(&list);
}

static void test_parse(void)
{
	auto_close int dir = fake(
		"1000-3000 rw-s 00005000 fe:0a 77     /a b (deleted)\n"
		"Size:          8 kB\nRss:           4 kB\n"
		"Swap:          4 kB\nSwapPss:       4 kB\nProtectionKey:      "
		"   3\n"
		"VmFlags: rd wr sh mr mw me ms sd zz \n"
		"3000-4000 ---p 00000000 00:00 0 \n"
		"Size:          4 kB\nVmFlags: mr mw me gd lo lf nr hg gu \n"
		"7f0000000000-7f0000001000 r-xp 00000000 00:00 0  "
		"[anon:VmFlags: io]\nVmFlags: rd ex \n");
	struct vma_list list = { 0 };
	struct err err = { 0 };

	ok(maps_read(dir, &list, &err) == 0 && list.count == 3,
	   "smaps is read: %s", err.text);
	ok(list.v[0].start == 0x1000 && list.v[0].end == 0x3000 &&
		   list.v[0].offset == 0x5000 && list.v[0].inode == 77 &&
		   list.v[0].dev_major == 0xfe && list.v[0].dev_minor == 10 &&
		   list.v[0].shared && list.v[0].pkey == 3 &&
		   list.v[0].prot == (PROT_READ | PROT_WRITE) &&
		   !strcmp(list.v[0].path, "/a b (deleted)"),
	   "all fields of a mapping, blanks in its name too");
	ok(list.v[0].present == 0x2000 && list.v[1].present == 0,
	   "what is in memory or in swap");
	ok(list.v[0].flags & VMA_UNKNOWN, "a flag nobody knows is told");
	ok(list.v[1].flags == (VMA_MAYREAD | VMA_MAYWRITE | VMA_MAYEXEC |
			       VMA_GROWSDOWN | VMA_LOCKED | VMA_LOCKONFAULT |
			       VMA_NORESERVE | VMA_HUGEPAGE | VMA_GUARD) &&
		   list.v[1].prot == 0 && !*list.v[1].path,
	   "exactly the flags of its line");
	ok(list.v[2].flags == 0 &&
		   !strcmp(list.v[2].path, "[anon:VmFlags: io]"),
	   "a mapping's name cannot play a flags line");
	ok(maps_find(&list, 0x2fff) == &list.v[0] &&
		   maps_find(&list, 0x3000) == &list.v[1] &&
		   !maps_find(&list, 0x4000) && !maps_find(&list, 0) &&
		   !maps_find(&list, UINT64_MAX),
	   "an address is found in the mapping that holds it");
	maps_done(&list);
}

static void test_broken(void)
{
	static const char *const bad[] = {
		"garbage\n",
		"3000-1000 rw-p 0 0:0 0 \n",
		"1000-2000 rw 0 0:0 0\n",
	};
	struct vma_list list;
	struct err err;
	int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		auto_close int dir = fake(bad[i]);

		wrong += maps_read(dir, &list, &err) != -EBADMSG;
	}
	ok(wrong == 0, "lines that are none are errors");
}

/* What is told of a process whose mappings grew and merged meanwhile. */
static void test_moments(void)
{
	auto_close int dir = fake("1000-2000 r--p 00000000 00:00 0 \n"
				  "3000-5000 rw-p 00000000 00:00 0 \n"
				  "6000-7000 rw-p 00000000 00:00 0 \n"
				  "4000-9000 rw-p 00000000 00:00 0 \n"
				  "a000-b000 r--p 00000000 00:00 0 \n");
	struct vma_list list = { 0 };
	struct err err = { 0 };

	ok(maps_read(dir, &list, &err) == 0 && list.count == 4,
	   "a mapping that was told twice is no error: %s", err.text);
	ok(list.v[0].start == 0x1000 && list.v[1].start == 0x3000 &&
		   list.v[1].end == 0x4000 && list.v[2].start == 0x4000 &&
		   list.v[2].end == 0x9000 && list.v[3].start == 0xa000,
	   "what was told last counts, and nothing overlaps");
	maps_done(&list);
}

static void test_self(int proc_fd, char *area)
{
	struct vma_list full = { 0 }, fast = { 0 };
	const struct vma *v;
	struct err err = { 0 };

	ok(maps_read(proc_fd, &full, &err) == 0 &&
		   maps_read_fast(proc_fd, &fast, &err) == 0,
	   "this process reads its own maps: %s", err.text);
	v = maps_find(&full, (uint64_t)area);
	ok(v && (v->flags & VMA_DONTFORK) &&
		   v->prot == (PROT_READ | PROT_WRITE),
	   "a mapping has the advice that was given");
	v = maps_find(&full, (uint64_t)&full);
	ok(v && (v->flags & VMA_GROWSDOWN) && !strcmp(v->path, "[stack]"),
	   "the stack grows down");
	v = maps_find(&fast, (uint64_t)area);
	ok(v && v->flags == 0, "the fast list has no flags");
	maps_done(&full);
	maps_done(&fast);
}

/*
 * Is a page that was only read the kernel's zero page?  Some virtual machines
 * do without.  A page that nobody else maps is not it.
 */
static bool is_zero_page(int pagemap, const char *page)
{
	uint64_t entry = 0;

	return pread(pagemap, &entry, sizeof(entry),
		     (off_t)((uint64_t)page / PAGE * sizeof(entry))) ==
		       sizeof(entry) &&
	       !(entry >> 56 & 1);
}

/* One of the two tells of a guard: the mapping's flags, or a look at pages. */
static void test_guards_hidden(const char *guard, bool guards)
{
	auto_close int proc_fd = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	struct vma_list maps = { 0 };
	const struct vma *vma;
	struct err err = { 0 };
	bool hidden = true, flag;

	ok(maps_guards_hidden(&hidden, &err) == 0 &&
		   maps_read(proc_fd, &maps, &err) == 0,
	   "guards in a mapping's flags are looked for: %s", err.text);
	vma = maps_find(&maps, (uint64_t)guard);
	flag = vma && (vma->flags & VMA_GUARD);
	ok(hidden == (guards && !flag), "they are %sthere",
	   hidden ? "not " : "");
	maps_done(&maps);
}

/* Pages 1 and 2 written, 4 only read (zero page), 6 a guard, rest nothing. */
static void test_pages(int proc_fd, char *area)
{
	auto_close int fd = openat(proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	struct page_run runs[8];
	uint64_t next = 0, start = (uint64_t)area;
	struct err err = { 0 };
	size_t n = 0, wanted;
	bool guards;

	area[PAGE] = area[2 * PAGE] = 1;
	(void)*(volatile char *)&area[4 * PAGE];
	/* Looked at one by one, the zero page is one like others. */
	wanted = is_zero_page(fd, area + 4 * PAGE) && pagemap_finds() ? 1 : 2;
	guards = madvise(area + 6 * PAGE, PAGE, MADV_GUARD_INSTALL) == 0;
	ok(pagemap_scan(fd, PAGES_OWN, start, start + 8 * PAGE, runs, 8, &n,
			&next, &err) == 0 &&
		   next == start + 8 * PAGE,
	   "the pages of an area are scanned: %s", err.text);
	ok(n == wanted + guards && runs[0].start == start + PAGE &&
		   runs[0].end == start + 3 * PAGE && !runs[0].file &&
		   !runs[0].guard,
	   "written pages are one run; holes are none, nor the zero page");
	if (guards)
		ok(runs[n - 1].guard && runs[n - 1].start == start + 6 * PAGE &&
			   runs[n - 1].end == start + 7 * PAGE,
		   "a guard region is told apart");
	else
		skip("this kernel has no guard regions");

	ok(pagemap_scan(fd, PAGES_GUARD, start, start + 8 * PAGE, runs, 8, &n,
			&next, &err) == 0 &&
		   next == start + 8 * PAGE && n == guards &&
		   (!guards || runs[0].start == start + 6 * PAGE),
	   "and found alone: %s", err.text);

	test_guards_hidden(area + 6 * PAGE, guards);

	area[7 * PAGE] = 1;
	ok(pagemap_scan(fd, PAGES_OWN, start, start + 8 * PAGE, runs, 1, &n,
			&next, &err) == 0 &&
		   n == 1 && next > start && next <= start + 7 * PAGE,
	   "without room the scan says where to go on");
	size_t total = 1;

	while (next < start + 8 * PAGE && n) {
		if (pagemap_scan(fd, PAGES_OWN, next, start + 8 * PAGE, runs, 1,
				 &n, &next, &err) < 0)
			break;
		total += n;
	}
	ok(total == wanted + guards + 1, "and in the end nothing is missing");
}

static void test_name(int proc_fd, const char *area)
{
	struct err err = { 0 };
	char name[64] = "?";

	ok(maps_name_at(proc_fd, getauxval(AT_SYSINFO_EHDR), name, sizeof(name),
			&err) == 0 &&
		   strcmp(name, "[vdso]") == 0,
	   "the vDSO's mapping has its name: %s", name);
	ok(maps_name_at(proc_fd, (uint64_t)(uintptr_t)area, name, sizeof(name),
			&err) == 0 &&
		   !*name,
	   "anonymous memory has none: %s", name);
	ok(maps_name_at(proc_fd, 4096, name, sizeof(name), &err) == 0 && !*name,
	   "nor has what is not mapped: %s", name);
	ok(maps_name_at(proc_fd, (uint64_t)(uintptr_t)&test_pages, name, 2,
			&err) == 0 &&
		   !*name,
	   "nor one that is too long: %s", name);
}

int main(void)
{
	char *area = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	auto_close int proc_fd = -EBADF;
	auto_free char *cmd = NULL;
	struct err err;

	if (area == MAP_FAILED || madvise(area, 8 * PAGE, MADV_DONTFORK) ||
	    !mkdtemp(dir_path) || proc_open(getpid(), 0, &proc_fd, &err) < 0)
		return 1;
	test_parse();
	test_unnamed();
	test_broken();
	test_moments();
	test_self(proc_fd, area);
	test_pages(proc_fd, area);
	test_name(proc_fd, area);
	if (asprintf(&cmd, "rm -rf '%s'", dir_path) < 0 || system(cmd))
		return 1;
	return done_testing();
}
