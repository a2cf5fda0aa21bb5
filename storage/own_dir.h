/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_STORAGE_OWN_DIR_H
#define JOBCR_STORAGE_OWN_DIR_H

#include <sys/types.h>

#include "util/err.h"

/*
 * A directory of the service's own in the store, STORE/CLUSTER/NAME, in which
 * the nodes that share it agree on something.
 */

/*
 * Made if it is not there.  *ret_fd: owned by the caller; *ret_uid: whose it
 * is.  -EPERM: others can write there.
 */
int own_dir_open(const char *store, const char *cluster, const char *name,
		 int *ret_fd, uid_t *ret_uid, struct err *err);

/*
 * A user may have made the directory, where users can write above it.  Root
 * is another where it is squashed: who it is shows in fd, a file that was
 * just made there.  -EPERM: somebody else's directory.
 */
int own_dir_check(const char *name, int fd, uid_t dir_uid, struct err *err);

#endif
