/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot/text.h"

#include <time.h>

#include "util/clock.h"

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

/* Text of the image, free of what a terminal acts on. */
void text_safe(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?'
								   : *text,
		      out);
}

void text_path(FILE *out, const ProtobufCBinaryData *path)
{
	size_t i;

	for (i = 0; i < path->len; i++)
		fputc(path->data[i] < 0x20 || path->data[i] == 0x7f
			      ? '?'
			      : path->data[i],
		      out);
}
