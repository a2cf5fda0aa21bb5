/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "inject/remote_parts.h"
#include "util/cleanup.h"

/* /proc/PID/mem also goes where the process itself may not. */
static int mem_access(const struct remote *r, uint64_t addr, void *buf,
		      size_t len, bool out, struct err *err)
{
	auto_close int fd = -EBADF;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)r->pid);
	fd = open(path, (out ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", path);
	n = out ? pwrite(fd, buf, len, (off_t)addr)
		: pread(fd, buf, len, (off_t)addr);
	if (n < 0)
		return err_sys(err, "memory at %llx", (unsigned long long)addr);
	if ((size_t)n != len)
		return err_set(err, -EFAULT, "memory at %llx: short",
			       (unsigned long long)addr);
	return 0;
}

int remote_read(struct remote *r, uint64_t addr, void *buf, size_t len,
		struct err *err)
{
	struct iovec here = { buf, len };
	struct iovec there = { (void *)(uintptr_t)addr, len };

	if (process_vm_readv(r->pid, &here, 1, &there, 1, 0) == (ssize_t)len)
		return 0;
	return mem_access(r, addr, buf, len, false, err);
}

int remote_write(struct remote *r, uint64_t addr, const void *buf, size_t len,
		 struct err *err)
{
	struct iovec here = { (void *)buf, len };
	struct iovec there = { (void *)(uintptr_t)addr, len };

	if (process_vm_writev(r->pid, &here, 1, &there, 1, 0) == (ssize_t)len)
		return 0;
	return mem_access(r, addr, (void *)buf, len, true, err);
}
