/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_HANGING_H
#define JOBCR_TESTS_LIB_HANGING_H

/*
 * Mount on dir a file system whose server never answers, in a mount namespace
 * of our own.  Whoever waits for it is told so when *ret_fd is closed: its
 * server, owned by the caller.  -1: no FUSE here, as errno says.
 */
int mount_hanging(const char *dir, int *ret_fd);

#endif
