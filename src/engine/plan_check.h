/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PLAN_CHECK_H
#define JOBCR_ENGINE_PLAN_CHECK_H

#include "engine/plan.h"

/*
 * What must hold between the records of an indexed plan: each belongs to
 * somebody, each process and thread has what it needs, descriptors and
 * mappings refer to objects that are there, and nobody is more than owner.
 */
int plan_check(const struct plan *plan, const struct user_id *owner,
	       struct err *err);

#endif
