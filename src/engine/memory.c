/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/building.h"
#include "images/tags.h"

static int build_one(struct building *b, struct puppet *p, struct err *err)
{
	const struct plan_record *vmas;
	size_t nvmas;
	int r;

	vmas = plan_find(b->plan, TAG_VMA, (uint32_t)p->task.ns_pid, &nvmas);
	r = puppet_vacate(p, vmas, nvmas, err);
	if (r == 0)
		r = inherit_settle(b, p, err);
	return r < 0 ? r : puppet_settle(p, vmas, nvmas, b->plan->foreign, err);
}

int build_memory(struct building *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan->ntasks && r == 0; i++) {
		if (b->puppets[i].task.zombie)
			continue;
		r = build_one(b, &b->puppets[i], err);
		if (r < 0)
			return err_wrap(err, r, "pid %d: memory",
					b->puppets[i].task.ns_pid);
	}
	return r;
}
