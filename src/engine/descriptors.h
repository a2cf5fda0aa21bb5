/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_DESCRIPTORS_H
#define JOBCR_ENGINE_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/puppet.h"
#include "util/err.h"

/*
 * Open file descriptions, made once in the worker and handed to every
 * process that holds them, over a socket pair between the two.
 */
struct descriptors;

int descriptors_new(struct descriptors **ret, struct err *err);
void descriptors_free(struct descriptors *d);

/* For struct restore_engine; see resource/restore.h. */
int descriptors_set(struct descriptors *d, uint32_t object, int fd,
		    struct err *err);
int descriptors_get(const struct descriptors *d, uint32_t object);
void descriptors_drop(struct descriptors *d, uint32_t object);
int descriptors_set_data(struct descriptors *d, uint32_t object, int fd,
			 struct err *err);

/* Where pages of object go; -ENOENT: set_data was never called, -EBADF: the
 * pages are not needed. */
int descriptors_data(const struct descriptors *d, uint32_t object);
void descriptors_close_data(struct descriptors *d);

/* A slot to be filled. */
struct slot {
	uint32_t object;
	int fd;
	bool cloexec;
};

/* Open the way to p, whose own descriptors are below above. */
int channel_open(struct puppet *p, int above, struct err *err);

/* Fill p's slots, ascending by fd: no other descriptor is open in it. */
int channel_fill(const struct descriptors *d, struct puppet *p,
		 const struct slot *slots, size_t count, struct err *err);

/* Descriptors into p, close-on-exec, at any numbers; at most PUPPET_LENT. */
int channel_push(const struct descriptors *d, struct puppet *p,
		 const uint32_t *objects, size_t count, int *ret_fds,
		 struct err *err);

/* A copy of fd into p, close-on-exec. */
int channel_give(struct puppet *p, int fd, int *ret_fd, struct err *err);

/* Nothing but the recorded descriptors is open in p afterwards. */
int channel_close(struct puppet *p, struct err *err);

#endif
