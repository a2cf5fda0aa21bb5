// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/engine.h"

const char *engine_phase_name(enum engine_phase phase)
{
	switch (phase) {
	case PHASE_PREFLIGHT:
		return "preflight";
	case PHASE_FREEZE:
		return "freeze";
	case PHASE_COLLECT:
		return "collect";
	case PHASE_DUMP:
		return "dump";
	case PHASE_PIN:
		return "pin";
	case PHASE_SHELTER:
		return "shelter";
	case PHASE_PAGES:
		return "pages";
	case PHASE_PUBLISH:
		return "publish";
	case PHASE_END:
		return "end";
	case PHASE_BUILD:
		return "build";
	case PHASE_FILL:
		return "fill";
	case PHASE_GO:
		return "go";
	}
	return "unknown";
}
