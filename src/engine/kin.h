/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_KIN_H
#define JOBCR_ENGINE_KIN_H

#include "engine/collect.h"
#include "images/task.pb-c.h"
#include "model/refusal.h"

/* Who a process is and where it hangs in the tree, as the image tells it. */
void kin_fill(const struct collection *c, pid_t root_pid,
	      const struct frozen_task *f, TaskRecord *rec);

/*
 * Can a frozen tree be born again?  A finding when its sessions or groups
 * cannot: see family.h.
 */
int kin_check(const struct collection *c, pid_t root_pid, struct refusals *no,
	      struct err *err);

#endif
