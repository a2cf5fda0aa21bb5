/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/file_policy.h"

#include <string.h>

static const char *const names[FILES_POLICIES] = {
	[FILES_DEFAULT] = "rollback",
	[FILES_ROLLBACK] = "rollback",
	[FILES_KEEP] = "keep",
	[FILES_REFUSE] = "refuse",
};

enum file_policy file_policy_parse(const char *name)
{
	enum file_policy p = FILES_ROLLBACK;

	while (p < FILES_POLICIES && strcmp(names[p], name) != 0)
		p++;
	return p;
}

const char *file_policy_name(enum file_policy policy)
{
	return policy < FILES_POLICIES ? names[policy] : "unknown";
}
