/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_PLAIN_H
#define JOBCR_UTIL_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Text of jobs, users and images on its way to a terminal or a log.  Plain is
 * UTF-8 on one line that commands no terminal: no control characters, also not
 * those of 8 bits (U+0080 to U+009F), no ends of lines, and none that turn the
 * direction of what is around them.
 */
bool plain_is(const char *text, size_t len);

/* What is not plain becomes with, byte by byte. */
void plain_make(char *text, char with);

/* What is not plain becomes a question mark. */
void plain_print(FILE *out, const char *text, size_t len);

/* JSON, and a newline: the same, with \uXXXX for what is not plain. */
void plain_print_json(FILE *out, const char *json);

#endif
