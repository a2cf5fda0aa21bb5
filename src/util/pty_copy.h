/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_PTY_COPY_H
#define JOBCR_UTIL_PTY_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/tty_input.h"

/*
 * What of a pseudo terminal can only be had by changing it for a moment: by
 * one whose death is the death of its processes, while these stand still.
 * With less output than the limit there is none on its way, of which nobody
 * could say whether it fits in again.
 */
#define PTY_OUTPUT_LIMIT 4000
#define PTY_OUTPUT_ROOM  (128u << 10)

struct pty_copy {
	uint32_t input_len;
	uint32_t output_len;
	uint8_t exclusive;             /* of the slave */
	uint8_t stopped;               /* output is held back, as by ctrl-S */
	uint8_t input[TTY_INPUT_ROOM]; /* as util/tty_input.h has it */
	uint8_t output[PTY_OUTPUT_ROOM];
};

/*
 * All of it is put back.  A slave must have been open before.  -ENOTSUP: it
 * cannot be had, and nothing was touched.
 */
int pty_copy(int master, struct pty_copy *ret, struct err *err);

/* The same, with the copy in a new file: returns that. */
int pty_copy_file(int master, struct err *err);

/*
 * Put output in, as if it had been written, even if it is held back, and is so
 * afterwards; slave: O_NONBLOCK.
 */
int pty_put_output(int slave, const uint8_t *data, size_t len, struct err *err);

/* What a poll(2) that does not wait says of fd. */
int pty_events(int fd, short events);

#endif
