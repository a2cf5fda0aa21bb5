/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_UTIL_TTY_INPUT_H
#define JOBCR_UTIL_TTY_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What was typed on a terminal and has not been read.  It can only be had by
 * reading it, so who takes it puts it back, and nobody else may read or set
 * the terminal meanwhile.
 *
 * As bytes: pieces of a kind (1 byte), a length (2, little endian) and so
 * many bytes.
 */
enum tty_piece {
	TTY_PIECE_LINE = 1, /* what one read would give; of none: an EOF */
	TTY_PIECE_EDITED,   /* the line that is not ended yet */
	TTY_PIECE_BYTES,    /* not canonical */
};

/* The kernel keeps no more than 4095 bytes; less leaves room for all. */
#define TTY_INPUT_LIMIT 3000
#define TTY_INPUT_ROOM  16384

/*
 * Take all of it and put it back.  fd: O_NONBLOCK, and the slave of a pty of
 * which the caller's session is not.  -ENOTSUP: too much of it, or this
 * kernel does not let it be put back; then nothing was taken.
 */
int tty_input_copy(int fd, uint8_t ret[TTY_INPUT_ROOM], size_t *ret_len,
		   struct err *err);

/* Put in what was taken; the bytes are not trusted: -EBADMSG. */
int tty_input_put(int fd, const uint8_t *input, size_t len, struct err *err);

/* As if ctrl-S were typed. */
int tty_stop_output(int fd, struct err *err);

#endif
