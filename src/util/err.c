/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

static int set_errno(struct err *err, int num, const char *fmt, va_list ap)
{
	size_t used;

	if (num < 0)
		num = -num;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		 strerror(num));
	err->code = -num;
	return -num;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int num = errno ? errno : EIO;
	va_list ap;

	va_start(ap, fmt);
	num = set_errno(err, num, fmt, ap);
	va_end(ap);
	return num;
}

int err_num(struct err *err, int num, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	num = set_errno(err, num, fmt, ap);
	va_end(ap);
	return num;
}

int err_wrap(struct err *err, int code, const char *fmt, ...)
{
	char inner[ERR_TEXT_SIZE];
	size_t used;
	va_list ap;

	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	return code;
}
