/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_count, tap_failed;

static void print_rest(const char *fmt, va_list ap)
{
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
}

bool ok(bool pass, const char *fmt, ...)
{
	va_list ap;

	if (!pass)
		tap_failed++;
	printf("%sok %d - ", pass ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	print_rest(fmt, ap);
	va_end(ap);
	return pass;
}

void skip(const char *fmt, ...)
{
	va_list ap;

	printf("ok %d # SKIP ", ++tap_count);
	va_start(ap, fmt);
	print_rest(fmt, ap);
	va_end(ap);
}

void skip_all(const char *fmt, ...)
{
	va_list ap;

	printf("1..0 # SKIP ");
	va_start(ap, fmt);
	print_rest(fmt, ap);
	va_end(ap);
	exit(0);
}

void diag(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	print_rest(fmt, ap);
	va_end(ap);
}

int done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}
