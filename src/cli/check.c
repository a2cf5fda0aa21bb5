/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/check.h"

#include <stdarg.h>
#include <stdio.h>

void check_line(const char *state, const char *what, const char *fmt,
		va_list ap)
{
	printf("%-8s %-22s ", state, what);
	vprintf(fmt, ap);
	putchar('\n');
}

void check_good(const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	check_line("ok", what, fmt, ap);
	va_end(ap);
}

void check_note(const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	check_line("note", what, fmt, ap);
	va_end(ap);
}
