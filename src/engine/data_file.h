/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_ENGINE_DATA_FILE_H
#define JOBCR_ENGINE_DATA_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* The data of an object that is being built; fd negative: it needs none. */
struct data_file {
	uint32_t object;
	int fd; /* borrowed */
	uint64_t size;
	uint64_t huge; /* it is on hugetlbfs: the size of its pages, or 0 */
};

/* By several threads at once. */
int data_file_put(const struct data_file *f, uint64_t at, const uint8_t *data,
		  size_t len, struct err *err);

#endif
