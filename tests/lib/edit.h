/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_EDIT_H
#define JOBCR_TESTS_LIB_EDIT_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "util/err.h"

/* A record to be put behind the one that was shown; borrowed. */
struct edit_more {
	uint32_t tag; /* 0: none */
	const ProtobufCMessage *msg;
};

/*
 * Change records of a snapshot, as its owner can: all digests, counts and
 * lengths fit again afterwards.  record is called for each record in order;
 * what it replaces in a message is allocated with malloc.
 */
typedef void (*edit_fn)(void *arg, uint32_t tag, ProtobufCMessage *msg,
			struct edit_more *ret);
int snapshot_edit(const char *dir, edit_fn record, void *arg, struct err *err);

#endif
