/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_FOREIGN_H
#define JOBCR_ENGINE_FOREIGN_H

#include <stdint.h>

#include "engine/building.h"
#include "engine/plan.h"
#include "util/err.h"

/*
 * A part that was saved on a kernel with another vDSO.  The recorded image
 * stays where the job knows it, as private memory whose functions lead to the
 * kernel's (vdso_redirect), which gets a place of its own.  No vvar belongs to
 * the image: what was there is reserved without access, so that nobody maps
 * into it, and what runs old code all the same fails rather than reads
 * another kernel's layout.
 *
 * Later checkpoints find the images as memory like any other.  On a kernel
 * that the job has met before, the kernel's vDSO takes the place of its own
 * image, unless a thread is in it: but for that a job never holds more of them
 * than it has met kernels.
 */

/* Contents are in: put the images where they belong. */
int foreign_settle(struct building *b, struct err *err);

#endif
