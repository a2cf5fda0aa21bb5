/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_FAR_WRITERS_H
#define JOBCR_ENGINE_FAR_WRITERS_H

#include "engine/freeze.h"

/*
 * Who writes to the memory of a tree that stands still, and is none of it.
 * Such a call takes hold of a page, and marks it as written, before it writes;
 * if the page is armed in between, what comes then leaves no mark.  So nobody
 * may be in one between the last page that is armed and the first of those
 * that is read: what had ended by then is in what is read, and what began
 * later has left its mark.
 *
 * fd: of far_writes_open, or negative: it cannot be known.  0: nobody;
 * negative: there may be one who cannot be named.
 */
#define FAR_WRITER_UNNAMED ((pid_t)-1)
pid_t far_writers_find(int fd, const struct frozen_tree *tree);

#endif
