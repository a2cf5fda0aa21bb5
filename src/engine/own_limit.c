// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/own_limit.h"

#include <sys/resource.h>

/* fs.nr_open, where nobody has changed it. */
#define MOST (1u << 20)

void own_limit_raise(void)
{
	struct rlimit most = { MOST, MOST }, limit;

	if (setrlimit(RLIMIT_NOFILE, &most) == 0 ||
	    getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* With the old limit smaller trees still work. */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
