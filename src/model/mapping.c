// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"

#define ANON_HUGE "/anon_hugepage"

static int memfd_device(unsigned int flags, dev_t *ret, struct err *err)
{
	auto_close int fd = memfd_create("jobcr", MFD_CLOEXEC | flags);
	struct stat st;

	if (fd < 0)
		return err_sys(err, "memfd_create");
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat of a memfd");
	*ret = st.st_dev;
	return 0;
}

int mapping_devices(struct mapping_devices *ret, struct err *err)
{
	struct mapping_devices d = { 0 };
	struct err ignored;
	int r;

	r = memfd_device(0, &d.shmem, err);
	if (r < 0)
		return r;
	/* A memfd takes no page of the pool, so this fails only where the
	 * kernel or the CPU has no pages of that size. */
	for (size_t i = 0; i < HUGETLB_SIZES; i++)
		(void)memfd_device(MFD_HUGETLB | hugetlb_flag(hugetlb_sizes[i]),
				   &d.huge[i], &ignored);
	*ret = d;
	return 0;
}

bool mapping_is_memory(const struct mapping_devices *devices, dev_t dev)
{
	for (size_t i = 0; dev && i < HUGETLB_SIZES; i++)
		if (devices->huge[i] == dev)
			return true;
	return devices->shmem == dev;
}

struct refused_path {
	const char *path;
	bool prefix;
	const char *why, *remedy;
};

/* Names given by the kernel; those in brackets no program can choose. */
static const struct refused_path refused_paths[] = {
	{ "/secretmem (deleted)", false, "secret memory (memfd_secret)",
	  "use ordinary memory" },
	{ "/[aio] (deleted)", false, "a kernel AIO context (io_setup)",
	  "use threads or POSIX AIO" },
	{ "anon_inode:[io_uring]", false, "an io_uring",
	  "disable io_uring in the program or library" },
	{ "anon_inode:[perf_event]", false, "a perf event buffer",
	  "stop the profiler" },
	{ "anon_inode:", true, "memory of a kernel object",
	  "close the object that is mapped" },
	{ "socket:[", true, "a packet socket ring", "close the socket" },
	{ "[uprobes]", false, "breakpoints of a tracer (uprobes)",
	  "stop the tracing tool and start the job anew, or see "
	  "--allow-uprobes in jobcr(1)" },
};

struct refused_flag {
	uint64_t flag;
	const char *why, *remedy;
};

static const struct refused_flag refused_flags[] = {
	{ VMA_SYNC, "persistent memory (DAX)", "use ordinary files" },
	{ VMA_UFFD | VMA_UFFD_WRITES, "memory watched by userfaultfd",
	  "close the userfaultfd, or wait until storage lets the checkpoint "
	  "before end" },
	{ VMA_SHADOW_STACK, "a shadow stack",
	  "set GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK" },
	{ VMA_IO | VMA_PFNMAP | VMA_MIXEDMAP, "memory of a device",
	  "close the device before a checkpoint" },
	{ VMA_UNKNOWN, "a mapping with flags unknown to this jobcr",
	  "use a newer jobcr" },
};

static bool is_known_size(uint64_t page_size)
{
	for (size_t i = 0; i < HUGETLB_SIZES; i++)
		if (hugetlb_sizes[i] == page_size)
			return true;
	return false;
}

static bool refuse(const struct vma *vma, const char **ret_why,
		   const char **ret_remedy)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused_paths); i++) {
		const struct refused_path *p = &refused_paths[i];
		size_t n = strlen(p->path) + (p->prefix ? 0 : 1);

		if (strncmp(vma->path, p->path, n) != 0)
			continue;
		*ret_why = p->why;
		*ret_remedy = p->remedy;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused_flags); i++) {
		if (!(vma->flags & refused_flags[i].flag))
			continue;
		*ret_why = refused_flags[i].why;
		*ret_remedy = refused_flags[i].remedy;
		return true;
	}
	if (vma->start < MAPPING_LOWEST) {
		*ret_why = "memory at the lowest addresses";
		*ret_remedy = "run without mapping address zero";
		return true;
	}
	if ((vma->flags & VMA_HUGETLB) && !is_known_size(vma->page_size)) {
		*ret_why = "huge pages of an unusual size";
		*ret_remedy = "use huge pages of 2 MiB or 1 GiB";
		return true;
	}
	if (vma->pkey) {
		*ret_why = "memory with a protection key";
		*ret_remedy = "run without pkey_mprotect";
		return true;
	}
	return false;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static enum mapping_kind shmem_kind(const struct vma *vma, const char **ret_why,
				    const char **ret_remedy)
{
	if (starts(vma->path, "/memfd:") || starts(vma->path, "/dev/zero") ||
	    starts(vma->path, "[anon_shmem:"))
		return MAPPING_SHMEM;
	/* Private memory of huge pages has a file too, which has no pages. */
	if (starts(vma->path, ANON_HUGE))
		return vma->shared ? MAPPING_SHMEM : MAPPING_ANON;
	if (starts(vma->path, "/SYSV") && vma->shared)
		return MAPPING_SYSV;
	*ret_why = "shared memory of an unknown kind";
	*ret_remedy = "use POSIX shared memory or shared mmap";
	return MAPPING_REFUSED;
}

enum mapping_kind mapping_classify(const struct vma *vma,
				   const struct mapping_devices *devices,
				   const char **ret_why,
				   const char **ret_remedy)
{
	bool no_file = vma->inode == 0 && !vma->dev_major && !vma->dev_minor;

	if (no_file && strcmp(vma->path, "[vdso]") == 0)
		return MAPPING_VDSO;
	if (no_file && strcmp(vma->path, "[vvar]") == 0)
		return MAPPING_VVAR;
	if (no_file && strcmp(vma->path, "[vvar_vclock]") == 0)
		return MAPPING_VVAR_VCLOCK;
	if (no_file && strcmp(vma->path, "[vsyscall]") == 0)
		return MAPPING_SKIP;
	if (refuse(vma, ret_why, ret_remedy))
		return MAPPING_REFUSED;
	if (vma->flags & VMA_DROPPABLE)
		return MAPPING_DROPPABLE;
	if (no_file)
		return MAPPING_ANON;
	if (mapping_is_memory(devices, makedev(vma->dev_major, vma->dev_minor)))
		return shmem_kind(vma, ret_why, ret_remedy);
	return MAPPING_FILE;
}

bool mapping_is_uprobes(const struct vma *vma)
{
	return strcmp(vma->path, "[uprobes]") == 0;
}

int mapping_access_mode(const struct vma *vma)
{
	return vma->shared && (vma->flags & VMA_MAYWRITE) ? O_RDWR : O_RDONLY;
}
