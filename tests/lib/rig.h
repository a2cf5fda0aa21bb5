/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_LIB_RIG_H
#define JOBCR_TESTS_LIB_RIG_H

#include <limits.h>

#include "images/files.pb-c.h"
#include "resource/resource.h"
#include "util/file_policy.h"

/*
 * The resources for open files, saved and made again within this process: a
 * small engine here stands for the real one, and system calls in a task are
 * made by ourselves.
 */
#define OBJECTS 64

struct rig {
	uint8_t image[1u << 20];
	size_t len;
	int fds[OBJECTS]; /* saved, by object */
	int made[OBJECTS], data_of[OBJECTS];
	uint8_t *data[OBJECTS];
	size_t data_len[OBJECTS];
	struct img_record records[OBJECTS];
	ProtobufCMessage *msgs[OBJECTS];
	size_t nrecords;
	struct object_table *objects;
	const char *outside, *carry[2], *local[2];
	uint64_t local_bytes;
	const struct user_id *owner; /* of the job; NULL: root */
	enum file_policy files;
	char remark[PATH_MAX]; /* the last one */
	struct refusals no;
};

void rig_init(struct rig *rig);
void rig_done(struct rig *rig);

/* Of an img_sink. */
int rig_write(void *arg, const void *data, size_t len, struct err *err);

/* Check and dump what rig->fds has for object; -ENOTSUP: see rig->no. */
int rig_save(struct rig *rig, uint32_t object, struct err *err);

/* Make all of the image again: rig->made, by object. */
int rig_restore(struct rig *rig, struct err *err);

/* Both, of descriptors that become objects 1, 2, ... */
int rig_round_trip(struct rig *rig, const int *fds, size_t count,
		   struct err *err);

#endif
