/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_EDIT_H
#define JOBCR_TESTS_LIB_EDIT_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Change records of a snapshot, as its owner can: all digests and lengths fit
 * again afterwards.  record is called for each record in order; what it
 * replaces in a message is allocated with malloc.
 */
int snapshot_edit(const char *dir,
		  void (*record)(void *arg, uint32_t tag,
				 ProtobufCMessage *msg),
		  void *arg, struct err *err);

#endif
