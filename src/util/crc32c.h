/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_CRC32C_H
#define JOBCR_UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli), as iSCSI and ext4 use it.  Start with crc 0; a second
 * call with the result goes on where the first one ended.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the processor's instruction. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
