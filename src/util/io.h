/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_IO_H
#define JOBCR_UTIL_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Write or read exactly len bytes; a short file is -ENODATA. */
int write_all(int fd, const void *data, size_t len, struct err *err);
int read_all(int fd, void *data, size_t len, struct err *err);

/*
 * Read a whole small file (a /proc file too) below dir_fd into a buffer
 * owned by the caller (free), NUL-terminated.  More than limit bytes: -EFBIG.
 */
int read_file_at(int dir_fd, const char *name, size_t limit, char **ret_data,
		 size_t *ret_len, struct err *err);

/* Decimal with nothing behind it; -EINVAL or -ERANGE otherwise. */
int parse_u64(const char *text, uint64_t max, uint64_t *ret);

/*
 * Pass count descriptors and len bytes (1 to 4096) over a Unix socket.
 * recv_fds: *ret_count is the room on entry and what came on exit; received
 * descriptors are O_CLOEXEC and owned by the caller.  End of file: -ENODATA.
 */
int send_fds(int sock, const void *data, size_t len, const int *fds,
	     size_t count, struct err *err);
int recv_fds(int sock, void *data, size_t room, size_t *ret_len, int *ret_fds,
	     size_t *ret_count, struct err *err);

/*
 * openat2(2) with RESOLVE_IN_ROOT, O_CLOEXEC and what resolve adds; mode: of
 * what it makes.  A rename or mount anywhere on the node, while the kernel is
 * at a "..", is no reason to fail.  A descriptor, or -1 and errno.
 */
int open_in_root(int root_fd, const char *path, int flags, mode_t mode,
		 uint64_t resolve);

/*
 * A directory that a user has named.  Through magic links (/proc/self/fd/N)
 * our own descriptors would lead past directories that are closed to the user:
 * ELOOP.  O_CLOEXEC; a descriptor, or -1 and errno.
 */
int open_named_dir(const char *path, int flags);

/* The same; it is made with this mode if it is not there. */
int make_named_dir(const char *path, int flags, mode_t mode);

#endif
