/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_REPAIR_SETSOCKOPT_H
#define JOBCR_REPAIR_SETSOCKOPT_H

#include <liburing.h>
#include <stdint.h>
#include <string.h>

/* As in linux/io_uring.h of newer systems than this may be built on. */
enum {
	SETSOCKOPT_OPCODE = 46, /* IORING_OP_URING_CMD */
	SETSOCKOPT_COMMAND = 3, /* SOCKET_URING_OP_SETSOCKOPT */
};

/*
 * setsockopt(2) of an int as a request (Linux 6.7); value stays where it is
 * until that is done.  Fields lie where the kernel's own header of the
 * command has them: command at off, level and name at addr, length at
 * splice_fd_in, value at addr3.
 */
static inline void setsockopt_prepare(struct io_uring_sqe *sqe, int fd,
				      int level, int name, const int *value)
{
	const uint32_t what[2] = { (uint32_t)level, (uint32_t)name };
	const uint64_t at = (uint64_t)(uintptr_t)value;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = SETSOCKOPT_OPCODE;
	sqe->fd = fd;
	sqe->off = SETSOCKOPT_COMMAND;
	memcpy(&sqe->addr, what, sizeof(what));
	sqe->splice_fd_in = sizeof(*value);
	memcpy((uint8_t *)sqe + 48, &at, sizeof(at));
}

#endif
