/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "operation/chronicle.h"
#include "util/cleanup.h"
#include "util/log.h"

/* Kinds that are more than information, or looked for in the journal. */
static const struct {
	const char *kind;
	enum log_level level;
	const char *message_id; /* jobcrd(8) lists them */
} kinds[] = {
	{ "failed", LOG_LEVEL_ERROR, "32833106536e95df40b2d002cc92d33d" },
	{ "held", LOG_LEVEL_ERROR, "f08db22fd293056a3170fab23d90fbac" },
	{ "lost", LOG_LEVEL_ERROR, "f3faa8e879eaa7234ad5cfbc1d74bd1c" },
	{ "fenced", LOG_LEVEL_ERROR, "3ce1268c9c8052e3ffec3fee8ed2305d" },
	{ "refused", LOG_LEVEL_WARNING, "a93f32a9a17251028e4edc90253d9e30" },
	{ "warning", LOG_LEVEL_WARNING, "47aa2dbad9e2ec8d009f001680289e32" },
	{ "checkpoint", LOG_LEVEL_INFO, "7f453a0ef5097b4fd5de6e91074206e2" },
	{ "restore", LOG_LEVEL_INFO, "30f47f35d0380cfbcadd40e92c34bf1c" },
	{ "requeued", LOG_LEVEL_INFO, "63783933d5f00510ff6af8af81df6383" },
	{ "preempted", LOG_LEVEL_INFO, "1e07ea63524ca98f54dc77a72ed0d50a" },
	{ "started", LOG_LEVEL_INFO, "42a68fecc75a23c48d0d866b16519537" },
	{ "ended", LOG_LEVEL_INFO, "39c0d03234795347783bea5c88b224f0" },
};

void event_note_cause(const struct conf *conf, const struct control_info *info,
		      const char *kind, const char *cause, uint32_t generation,
		      const char *fmt, ...)
{
	struct log_about about = { .job = info->job_id,
				   .event = kind,
				   .cause = cause,
				   .generation = generation };
	enum log_level level = LOG_LEVEL_INFO;
	size_t i;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0) {
			level = kinds[i].level;
			about.message_id = kinds[i].message_id;
		}
	log_event(level, &about, text);
	chronicle_add(conf, info, kind, generation, text);
}
