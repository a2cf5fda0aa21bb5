/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_FOREIGN_PLAN_H
#define JOBCR_ENGINE_FOREIGN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/plan.h"
#include "images/mm.pb-c.h"
#include "util/err.h"

/*
 * Can a part be had whose vDSO is another kernel's?  See foreign.h for how.
 * After plan_check, which this relies on.
 */

/* Sets plan->foreign; then says who or what cannot be had here. */
int foreign_plan(struct plan *plan, struct err *err);

/* Can a thread go on there, in an image that leads elsewhere? */
bool foreign_goes_on(const struct plan *plan, uint64_t offset);

/* The recorded vDSO of a process: there is one. */
const VmaRecord *foreign_vdso(const struct plan *plan, int32_t pid);

#endif
