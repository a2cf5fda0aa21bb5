/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SNAPSHOT_PRINT_H
#define JOBCR_SNAPSHOT_PRINT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

#include "snapshot/kinds.h"
#include "storage/as_user.h"
#include "util/err.h"

struct json_object;

/* A line for each field that is set.  Safe for terminals. */
void record_print(FILE *out, const ProtobufCMessage *msg, unsigned int indent);

/*
 * The same as JSON: bytes that are no text as { "hex": "..." }; fields that
 * are not set are left out, lists never.  NULL: out of memory.  Owned by the
 * caller: json_object_put.
 */
struct json_object *record_json(const ProtobufCMessage *msg);

/* Bytes that should be text, the same way. */
struct json_object *bytes_json(const uint8_t *p, size_t len);

/*
 * A snapshot: its manifest and, from each part, its tasks; with records those
 * of the meta streams that are of these kinds.  Reads no pages.  Errors as
 * those of snapshot_manifest and snapshot_meta; out may then hold a beginning.
 */
struct show_options {
	bool json;
	bool records;
	struct show_kinds kinds;
};
int snapshot_show(int dir_fd, const struct user_id *user,
		  const struct show_options *options, FILE *out,
		  struct err *err);

#endif
