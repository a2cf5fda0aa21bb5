/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_ENDS_H
#define JOBCR_ENGINE_ENDS_H

#include "engine/pin.h"
#include "resource/resource.h"

/*
 * Tell the pin which words the kernel will write to when this thread ends;
 * it is refused when one of them is in shared memory, which is read through
 * its file.
 */
int ends_note(struct pin *pin, const struct thread_view *thread,
	      uint64_t clear_child_tid, uint64_t robust_head, struct err *err);

#endif
