/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_ERR_H
#define JOBCR_UTIL_ERR_H

/*
 * An error with its context, built from the inside out and printed once by
 * the entry point.  Lives on the caller's stack: no allocation on this path.
 */
#define ERR_TEXT_SIZE 768

struct err {
	int code; /* negative errno; 0: no error yet */
	char text[ERR_TEXT_SIZE];
};

/* Start an error: set the text, return code (a negative errno). */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Start an error from errno: ": strerror" is appended.  Returns -errno. */
int err_sys(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same with the errno (positive or negative) given. */
int err_num(struct err *err, int num, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "fmt: " in front of what is there.  Returns code unchanged. */
int err_wrap(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
