/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/hugetlb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kernel/userfault.h"
#include "util/cleanup.h"
#include "util/io.h"

#define SIZE_SHIFT 26

const uint64_t hugetlb_sizes[HUGETLB_SIZES] = { 2ull << 20, 1ull << 30 };

unsigned int hugetlb_flag(uint64_t page_size)
{
	return (unsigned int)__builtin_ctzll(page_size) << SIZE_SHIFT;
}

const char *hugetlb_name(uint64_t page_size)
{
	return page_size == hugetlb_sizes[0]   ? "2 MiB"
	       : page_size == hugetlb_sizes[1] ? "1 GiB"
					       : "an unknown size";
}

uint64_t hugetlb_of_file(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	return (uint64_t)fs.f_bsize;
}

static int read_count(uint64_t page_size, const char *name, uint64_t *ret,
		      struct err *err)
{
	auto_free char *text = NULL;
	char path[128];
	size_t len;
	int r;

	(void)snprintf(path, sizeof(path),
		       "/sys/kernel/mm/hugepages/hugepages-%llukB/%s",
		       (unsigned long long)(page_size >> 10), name);
	r = read_file_at(AT_FDCWD, path, 64, &text, &len, err);
	if (r == 0)
		*ret = strtoull(text, NULL, 10);
	return r;
}

/* What the pool may grow by on demand counts: it is what mmap would get. */
static int count_free(uint64_t page_size, uint64_t *ret, struct err *err)
{
	uint64_t idle, promised, may, made;
	int r;

	r = read_count(page_size, "free_hugepages", &idle, err);
	if (r == 0)
		r = read_count(page_size, "resv_hugepages", &promised, err);
	if (r == 0)
		r = read_count(page_size, "nr_overcommit_hugepages", &may, err);
	if (r == 0)
		r = read_count(page_size, "surplus_hugepages", &made, err);
	if (r < 0)
		return r;
	*ret = (idle > promised ? idle - promised : 0) +
	       (may > made ? may - made : 0);
	return 0;
}

int hugetlb_need(uint64_t page_size, uint64_t pages, struct err *err)
{
	char node[65] = "";
	uint64_t there = 0;
	int r;

	if (!pages)
		return 0;
	r = count_free(page_size, &there, err);
	/* A kernel without pages of this size has none free. */
	if (r < 0 && r != -ENOENT)
		return err_wrap(err, r, "huge pages");
	if (there >= pages)
		return 0;
	(void)gethostname(node, sizeof(node) - 1);
	return err_set(err, -ENOTSUP,
		       "needs %llu huge pages of %s, %llu are free on node %s: "
		       "restore it on a node that has them, or let the "
		       "administrator raise "
		       "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		       (unsigned long long)pages, hugetlb_name(page_size),
		       (unsigned long long)there, node,
		       (unsigned long long)(page_size >> 10));
}

/* A mapping of it that is asked to show what is there, and no more. */
struct hugetlb_file {
	int watch_fd; /* userfaultfd */
	uint8_t *map;
	uint64_t page_size, size;
};

static int watch(struct hugetlb_file *f, struct err *err)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_MINOR_HUGETLBFS };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR };

	f->watch_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (uint64_t)(uintptr_t)f->map;
	reg.range.len = f->size;
	if (f->watch_fd < 0 || ioctl(f->watch_fd, UFFDIO_API, &api) < 0 ||
	    ioctl(f->watch_fd, UFFDIO_REGISTER, &reg) < 0)
		return err_num(err, EOPNOTSUPP, "userfaultfd: %m");
	return 0;
}

int hugetlb_file_new(int fd, uint64_t page_size, uint64_t size,
		     struct hugetlb_file **ret, struct err *err)
{
	struct hugetlb_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_num(err, ENOMEM, "huge pages");
	f->watch_fd = -EBADF;
	f->page_size = page_size;
	f->size = size;
	/* Nothing is promised to us, so nothing is taken from others. */
	f->map = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (f->map == MAP_FAILED) {
		f->map = NULL;
		r = err_num(err, EOPNOTSUPP, "huge pages: mmap: %m");
	} else {
		r = watch(f, err);
	}
	if (r < 0) {
		hugetlb_file_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

/* To continue a fault that never was maps the page, if there is one. */
int hugetlb_file_has(const struct hugetlb_file *f, uint64_t offset,
		     struct err *err)
{
	struct uffdio_continue c = {
		.range = { (uint64_t)(uintptr_t)f->map + offset, f->page_size },
		.mode = UFFDIO_CONTINUE_MODE_DONTWAKE,
	};

	for (;;) {
		if (ioctl(f->watch_fd, UFFDIO_CONTINUE, &c) == 0 ||
		    errno == EEXIST)
			return 1;
		if (errno == EFAULT)
			return 0;
		if (errno != EAGAIN)
			return err_sys(err, "huge page at %#llx",
				       (unsigned long long)offset);
	}
}

void hugetlb_file_free(struct hugetlb_file *f)
{
	if (!f)
		return;
	if (f->watch_fd >= 0)
		close(f->watch_fd);
	if (f->map)
		munmap(f->map, f->size);
	free(f);
}
