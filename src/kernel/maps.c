/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/newer_mman.h"

/* What a kernel prints that has no letters for a flag. */
#define UNNAMED (1ull << 62)

static const struct {
	char name[3];
	uint64_t flag;
} vm_flags[] = {
	{ "gd", VMA_GROWSDOWN },
	{ "lo", VMA_LOCKED },
	{ "lf", VMA_LOCKONFAULT },
	{ "nr", VMA_NORESERVE },
	{ "sr", VMA_SEQUENTIAL },
	{ "rr", VMA_RANDOM },
	{ "dc", VMA_DONTFORK },
	{ "dd", VMA_DONTDUMP },
	{ "wf", VMA_WIPEONFORK },
	{ "mg", VMA_MERGEABLE },
	{ "hg", VMA_HUGEPAGE },
	{ "nh", VMA_NOHUGEPAGE },
	{ "ht", VMA_HUGETLB },
	{ "dp", VMA_DROPPABLE },
	{ "sf", VMA_SYNC },
	{ "um", VMA_UFFD },
	{ "uw", VMA_UFFD_WRITES },
	{ "ui", VMA_UFFD },
	{ "sl", VMA_SEALED },
	{ "ss", VMA_SHADOW_STACK },
	{ "io", VMA_IO },
	{ "pf", VMA_PFNMAP },
	{ "mm", VMA_MIXEDMAP },
	{ "de", VMA_DONTEXPAND },
	{ "ac", VMA_ACCOUNT },
	{ "mr", VMA_MAYREAD },
	{ "mw", VMA_MAYWRITE },
	{ "me", VMA_MAYEXEC },
	{ "ms", VMA_MAYSHARE },
	{ "gu", VMA_GUARD },
	{ "??", UNNAMED },
	/* The first line says these already; sd says nothing that lasts. */
	{ "rd", 0 },
	{ "wr", 0 },
	{ "ex", 0 },
	{ "sh", 0 },
	{ "sd", 0 },
};

static uint64_t flags_parse(const char *p)
{
	uint64_t flags = 0;

	for (;;) {
		uint64_t flag = VMA_UNKNOWN;

		while (*p == ' ' || *p == '\n')
			p++;
		if (!p[0] || !p[1])
			return flags;
		for (size_t i = 0; i < ARRAY_SIZE(vm_flags); i++) {
			if (p[0] == vm_flags[i].name[0] &&
			    p[1] == vm_flags[i].name[1] &&
			    (p[2] == ' ' || p[2] == '\n' || !p[2]))
				flag = vm_flags[i].flag;
		}
		flags |= flag;
		while (*p && *p != ' ' && *p != '\n')
			p++;
	}
}

/* "start-end perms offset major:minor inode   path"; 1 when it is one. */
static int vma_parse(char *line, struct vma *ret)
{
	unsigned long long start, end, offset, inode;
	unsigned int major, minor;
	char perms[5], *path;
	struct vma v = { 0 };
	int used = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu%n", &start, &end, perms,
		   &offset, &major, &minor, &inode, &used) != 7)
		return 0;
	if (end <= start || strlen(perms) != 4)
		return 0;
	/* One blank, or padding to a column: a path begins with neither. */
	path = line + used;
	while (*path == ' ')
		path++;
	path[strcspn(path, "\n")] = '\0';
	v.start = start;
	v.end = end;
	v.offset = offset;
	v.inode = inode;
	v.dev_major = major;
	v.dev_minor = minor;
	v.prot = (perms[0] == 'r' ? PROT_READ : 0u) |
		 (perms[1] == 'w' ? PROT_WRITE : 0u) |
		 (perms[2] == 'x' ? PROT_EXEC : 0u);
	v.shared = perms[3] == 's';
	v.path = strdup(path);
	*ret = v;
	return v.path ? 1 : -ENOMEM;
}

static int vma_append(struct vma_list *list, size_t *room, const struct vma *v)
{
	if (list->count == *room) {
		size_t more = *room ? 2 * *room : 64;
		struct vma *p = reallocarray(list->v, more, sizeof(*p));

		if (!p)
			return -ENOMEM;
		list->v = p;
		*room = more;
	}
	list->v[list->count++] = *v;
	return 0;
}

/*
 * The kernel lets go of its lock between two reads: where a process that runs
 * has merged or grown mappings meanwhile, one is told twice.  What it said
 * last is how it is now.
 */
static void vma_supersede(struct vma_list *list, uint64_t start)
{
	while (list->count) {
		struct vma *last = &list->v[list->count - 1];

		if (last->end <= start)
			return;
		if (last->start < start) {
			last->end = start;
			return;
		}
		free(last->path);
		list->count--;
	}
}

/* "Name:   12 kB" of more than nothing. */
static bool says_more(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 &&
	       strtoul(line + len, NULL, 10) > 0;
}

static int line_take(struct vma_list *list, size_t *room, char *line)
{
	struct vma *last = list->count ? &list->v[list->count - 1] : NULL;
	struct vma v;
	int r;

	if (last && !strncmp(line, "VmFlags:", 8)) {
		last->flags = flags_parse(line + 8);
		return 0;
	}
	if (last && !strncmp(line, "ProtectionKey:", 14)) {
		last->pkey = (uint32_t)strtoul(line + 14, NULL, 10);
		return 0;
	}
	/* Of swapped pages it says no more than how many there are. */
	if (last &&
	    (says_more(line, "Shared_Clean:") ||
	     says_more(line, "Shared_Dirty:") || says_more(line, "Swap:")))
		last->common = 1;
	if (last && !strncmp(line, "KernelPageSize:", 15)) {
		last->page_size = strtoull(line + 15, NULL, 10) << 10;
		return 0;
	}
	if (last && (!strncmp(line, "Rss:", 4) || !strncmp(line, "Swap:", 5)))
		last->present += strtoull(strchr(line, ':') + 1, NULL, 10)
				 << 10;
	/* "Size:" and its kin; addresses are printed in lower case. */
	if (*line >= 'A' && *line <= 'Z')
		return 0;
	r = vma_parse(line, &v);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	vma_supersede(list, v.start);
	r = vma_append(list, room, &v);
	if (r < 0)
		free(v.path);
	return r;
}

static int list_read(int proc_fd, const char *name, struct vma_list *ret,
		     struct err *err)
{
	auto_close int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	struct vma_list list = { 0 };
	auto_fclose FILE *f = NULL;
	auto_free char *line = NULL;
	size_t line_room = 0, room = 0;
	int r = 0;

	if (fd < 0 || !(f = fdopen(fd, "r")))
		return err_sys(err, "%s", name);
	take_fd(&fd);
	/* Large reads: the kernel takes its lock anew for each. */
	(void)setvbuf(f, NULL, _IOFBF, 1 << 16);
	while (r >= 0 && (errno = 0, getline(&line, &line_room, f)) > 0)
		r = line_take(&list, &room, line);
	if (r >= 0 && ferror(f))
		r = errno ? -errno : -EIO;
	if (r < 0) {
		maps_done(&list);
		return r == -EBADMSG
			       ? err_set(err, r, "%s: not in the known format",
					 name)
			       : err_num(err, r, "%s", name);
	}
	*ret = list;
	return 0;
}

static int own_flags(const void *addr, uint64_t *ret, struct err *err)
{
	auto_close int proc = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	struct vma_list maps = { 0 };
	const struct vma *vma;
	int r;

	if (proc < 0)
		return err_sys(err, "/proc/self");
	r = list_read(proc, "smaps", &maps, err);
	if (r < 0)
		return r;
	vma = maps_find(&maps, (uint64_t)(uintptr_t)addr);
	*ret = vma ? vma->flags : 0;
	maps_done(&maps);
	return 0;
}

/*
 * Kernels older than seals of mappings had one flag without letters that a
 * program can set: it is locked as its pages come (MLOCK_ONFAULT).
 */
static bool is_lock_unnamed(void)
{
	const size_t len = 4096;
	uint64_t flags = 0;
	struct err ignored;
	void *page;

	if (syscall(__NR_mseal, 0, 0, 0) == 0 || errno != ENOSYS)
		return false;
	page = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return false;
	if (mlock2(page, len, MLOCK_ONFAULT) == 0)
		(void)own_flags(page, &flags, &ignored);
	(void)munmap(page, len);
	return (flags & UNNAMED) != 0;
}

static void name_locks(struct vma_list *list)
{
	bool asked = false, is_lock = false;

	for (size_t i = 0; i < list->count; i++) {
		struct vma *v = &list->v[i];

		if (!(v->flags & UNNAMED))
			continue;
		if (!asked)
			is_lock = is_lock_unnamed();
		asked = true;
		v->flags &= ~UNNAMED;
		v->flags |= is_lock && (v->flags & VMA_LOCKED) ? VMA_LOCKONFAULT
							       : VMA_UNKNOWN;
	}
}

int maps_read(int proc_fd, struct vma_list *ret, struct err *err)
{
	int r = list_read(proc_fd, "smaps", ret, err);

	if (r == 0)
		name_locks(ret);
	return r;
}

int maps_read_fast(int proc_fd, struct vma_list *ret, struct err *err)
{
	int r = list_read(proc_fd, "maps", ret, err);

	for (size_t i = 0; r == 0 && i < ret->count; i++)
		ret->v[i].present = VMA_PRESENT_UNKNOWN;
	return r;
}

bool maps_few(int proc_fd, size_t most)
{
	auto_close int fd = openat(proc_fd, "maps", O_RDONLY | O_CLOEXEC);
	char text[16384];
	size_t lines = 0;
	ssize_t n = -1;

	while (fd >= 0 && lines <= most &&
	       (n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	return n == 0 && lines <= most;
}

void maps_done(struct vma_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->v[i].path);
	free(list->v);
	list->v = NULL;
	list->count = 0;
}

int maps_guards_hidden(bool *ret, struct err *err)
{
	size_t len = 4096;
	uint64_t flags = 0;
	void *page;
	int r = 0;

	page = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return err_sys(err, "guard region");
	/* A kernel without guards hides none. */
	*ret = madvise(page, len, MADV_GUARD_INSTALL) == 0;
	if (*ret)
		r = own_flags(page, &flags, err);
	*ret = *ret && !(flags & VMA_GUARD);
	(void)munmap(page, len);
	return r;
}

const struct vma *maps_find(const struct vma_list *list, uint64_t addr)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (addr < list->v[mid].start)
			high = mid;
		else if (addr >= list->v[mid].end)
			low = mid + 1;
		else
			return &list->v[mid];
	}
	return NULL;
}
