/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_RESOURCE_BUILD_ID_H
#define JOBCR_RESOURCE_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

/* What the linker put into an ELF file to tell builds apart. */
#define BUILD_ID_MAX 64

/* Its length, 0 when the file has none or is no such file. */
size_t build_id_read(int fd, uint8_t ret[BUILD_ID_MAX]);

#endif
