/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_SAMPLE_H
#define JOBCR_TESTS_LIB_SAMPLE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * A small snapshot that passes all checks, made of real records: two
 * processes, three threads, an open file, a ghost, a pipe, some pages.
 */

/* May change each record before it is written; the manifest comes last. */
struct sample_edit {
	void (*record)(void *arg, uint32_t tag, ProtobufCMessage *msg);
	void *arg;
	uint32_t skip; /* a tag that is left out, once counted, or 0 */
	bool packed;   /* the first stream of pages is */
	uint32_t also; /* the tag of one more record, before the last; or 0 */
	ProtobufCMessage *what;
};

#define SAMPLE_META  "node-a.meta"
#define SAMPLE_PAGES "node-a.pages.1"
#define SAMPLE_MORE  "node-a.pages.2"

/* Write the streams and the manifest into dir_fd; edit may be NULL. */
int sample_write(int dir_fd, const struct sample_edit *edit, struct err *err);

/* A directory of the test's own below TMPDIR, and its removal. */
int temp_dir(char path[64]);
void temp_dir_remove(const char *path);

#endif
