/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_TERMINAL_H
#define JOBCR_WIRE_TERMINAL_H

#include <stddef.h>
#include <stdint.h>

/*
 * Between the terminal of a job, which its supervisor holds, and somebody who
 * looks at it: a SOCK_SEQPACKET pair of which the supervisor is given one
 * end.  Messages in host byte order, as long as their data; the end of the
 * connection is the end of looking.
 */
#define TERMINAL_DATA 4096

enum terminal_kind {
	TERMINAL_OUTPUT = 1, /* of the job */
	TERMINAL_LOST,       /* output was left out: nobody took it in time */
	TERMINAL_TAKEN,      /* somebody else wants it alone */
	TERMINAL_INPUT,      /* for the job */
	TERMINAL_EOF,        /* there will be no more input */
	TERMINAL_SIZE,       /* of the one who looks: rows, columns */
};

struct terminal_message {
	uint16_t kind;
	uint16_t rows, columns;
	uint16_t zero;
	uint8_t data[TERMINAL_DATA];
};
#define TERMINAL_HEAD offsetof(struct terminal_message, data)

/* Flags of CONTROL_ATTACH. */
#define TERMINAL_READ_ONLY 1
#define TERMINAL_STEAL     2 /* the others are to go */

#endif
