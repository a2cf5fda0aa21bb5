/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_OWN_LIMIT_H
#define JOBCR_ENGINE_OWN_LIMIT_H

/*
 * The worker may have as many descriptors as the kernel lets anybody have, or
 * else as its own limit lets it: all open files of a tree, and all files whose
 * contents travel, are open in it for a while.
 */
void own_limit_raise(void);

#endif
