/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_TESTS_FUZZ_FUZZ_H
#define JOBCR_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input; aborts when a promise is broken.  libFuzzer's own name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Inputs are records without frames, so that no checksum stands in the way:
 * a number in the list of tags, a length of 2 bytes, a body; and so on.
 */
#define FUZZ_HEAD 3
size_t fuzz_tag_number(uint32_t tag);

#endif
