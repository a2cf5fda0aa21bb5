/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kernel/maps.h"
#include "util/cleanup.h"

/* PROCMAP_QUERY of Linux 6.11, which not all headers have. */
struct map_query {
	__u64 size, query_flags, query_addr;
	__u64 start, end, flags, page_size, offset, inode;
	__u32 dev_major, dev_minor;
	__u32 name_size, build_id_size;
	__u64 name_addr, build_id_addr;
};
#define QUERY_MAP _IOWR('f', 17, struct map_query)

_Static_assert(sizeof(struct map_query) == 104, "as the kernel has it");

static int read_all(int proc_fd, uint64_t addr, char *ret, size_t room,
		    struct err *err)
{
	struct vma_list list = { 0 };
	const struct vma *v;
	int r = maps_read_fast(proc_fd, &list, err);

	if (r < 0)
		return r;
	v = maps_find(&list, addr);
	if (v && strlen(v->path) < room)
		strcpy(ret, v->path);
	maps_done(&list);
	return 0;
}

uint64_t maps_page_size(int proc_fd, uint64_t addr)
{
	auto_close int fd = openat(proc_fd, "maps", O_RDONLY | O_CLOEXEC);
	struct map_query q = { .size = sizeof(q), .query_addr = addr };

	return fd >= 0 && ioctl(fd, QUERY_MAP, &q) == 0 ? q.page_size : 0;
}

int maps_name_at(int proc_fd, uint64_t addr, char *ret, size_t room,
		 struct err *err)
{
	auto_close int fd = openat(proc_fd, "maps", O_RDONLY | O_CLOEXEC);
	struct map_query q = {
		.size = sizeof(q),
		.query_addr = addr,
		.name_size = (__u32)room,
		.name_addr = (__u64)(uintptr_t)ret,
	};

	if (fd < 0)
		return err_sys(err, "maps");
	ret[0] = '\0';
	if (ioctl(fd, QUERY_MAP, &q) == 0 || errno == ENOENT)
		return 0;
	/* A file with a name that is too long is none of the kernel's own. */
	if (errno == ENAMETOOLONG)
		return 0;
	return read_all(proc_fd, addr, ret, room, err);
}
