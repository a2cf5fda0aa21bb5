/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_TEXT_H
#define JOBCR_SNAPSHOT_TEXT_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>
#include <stdio.h>

/* What show and diff print. */
void text_time(FILE *out, uint64_t ns);     /* CLOCK_REALTIME, local time */
void text_bytes(FILE *out, uint64_t bytes); /* in a unit that suits */

/* Text of an image, free of what a terminal acts on. */
void text_safe(FILE *out, const char *text);
void text_path(FILE *out, const ProtobufCBinaryData *path);

#endif
