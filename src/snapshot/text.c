/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/text.h"

#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/plain.h"

void text_time(FILE *out, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NSEC_PER_SEC);
	struct tm tm;
	char text[64] = "?";

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &tm);
	fputs(text, out);
}

void text_bytes(FILE *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB",
					     "TiB" };
	double n = (double)bytes;
	unsigned int i = 0;

	for (; n >= 1024 && i < 4; i++)
		n /= 1024;
	fprintf(out, "%.*f %s", i ? 1 : 0, n, units[i]);
}

void text_safe(FILE *out, const char *text)
{
	plain_print(out, text, strlen(text));
}

void text_path(FILE *out, const ProtobufCBinaryData *path)
{
	plain_print(out, (const char *)path->data, path->len);
}
