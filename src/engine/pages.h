/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_PAGES_H
#define JOBCR_ENGINE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/pace.h"
#include "engine/pin.h"
#include "images/record.h"
#include "storage/writer.h"
#include "util/err.h"

/*
 * The page pipeline: what memory is to be saved is collected first, then
 * read by several threads into the writer's buffers, freed of pages of
 * zeroes, given checksums, packed where that is faster, and written.  Memory taken does not grow with what
 * is saved.
 */
struct pages;

struct pages_config {
	struct writer *writer;       /* borrowed */
	const struct img_sink *meta; /* borrowed: PagesRecords go there */
	const uint32_t *streams;     /* of the writer; borrowed */
	unsigned int nstreams;       /* they are streams 1.. of the part */
	unsigned int readers;
	enum pack_policy compression;
};

int pages_new(const struct pages_config *config, struct pages **ret,
	      struct err *err);

/*
 * A range of a stopped process: all pages that are its own.  over_file: a
 * private mapping of a file, where a page of zeroes is not the same as none.
 * common: some of it may be another process's too, since a fork.  readable:
 * its protection allows to read.  proc_fd is borrowed.
 * Ranges of one process come one after the other, ascending.
 */
struct page_range {
	pid_t pid, ns_pid;
	int proc_fd;
	uint64_t start, end;
	uint64_t huge; /* size of its pages, if they are huge ones, or 0 */
	bool over_file, readable, common;
};
int pages_add_range(struct pages *p, const struct page_range *range,
		    struct err *err);

/* The data of a file; a description of its own is opened for it. */
int pages_add_file(struct pages *p, uint32_t object, int fd, uint64_t size,
		   struct err *err);

/*
 * All that is to be saved is known, and the processes stand still: find all
 * pages and hold the memory (pin is borrowed until pages_run has returned).
 * From then on the processes may be killed.  -EOPNOTSUPP: refused, and
 * nothing has changed.
 */
int pages_pin(struct pages *p, struct pin *pin, struct err *err);

/* Save all; what says where pages are is in the meta stream afterwards. */
int pages_run(struct pages *p, struct err *err);

struct pages_total {
	uint64_t bytes;
	uint32_t extents;
};
struct pages_total pages_total(const struct pages *p);

void pages_free(struct pages *p);

#endif
