/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/readers.h"

#include <sched.h>

#include "engine/engine.h"

unsigned int readers_count(unsigned int asked)
{
	cpu_set_t cpus;
	unsigned int half;

	if (asked)
		return asked < ENGINE_READERS_MAX ? asked : ENGINE_READERS_MAX;
	/* More than a set holds: there is no lack of them. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return ENGINE_READERS_AUTO;
	half = (unsigned int)CPU_COUNT(&cpus) / 2;
	if (half < 2)
		return 2;
	return half < ENGINE_READERS_AUTO ? half : ENGINE_READERS_AUTO;
}
