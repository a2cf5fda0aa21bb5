/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "operation/chronicle.h"
#include "util/cleanup.h"
#include "util/log.h"

/* Kinds that are more than information. */
static const struct {
	const char *kind;
	enum log_level level;
} levels[] = {
	{ "failed", LOG_LEVEL_ERROR },    { "held", LOG_LEVEL_ERROR },
	{ "lost", LOG_LEVEL_ERROR },      { "fenced", LOG_LEVEL_ERROR },
	{ "refused", LOG_LEVEL_WARNING }, { "warning", LOG_LEVEL_WARNING },
};

static enum log_level level_of(const char *kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i].kind, kind) == 0)
			return levels[i].level;
	return LOG_LEVEL_INFO;
}

void event_note(const struct conf *conf, const struct control_info *info,
		const char *kind, uint32_t generation, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_msg(level_of(kind), info->job_id, "%s", text);
	chronicle_add(conf, info, kind, generation, text);
}
