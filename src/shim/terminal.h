/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SHIM_TERMINAL_H
#define JOBCR_SHIM_TERMINAL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "util/tty_input.h"
#include "wire/terminal.h"

/*
 * The terminal of a job: a pty whose master the supervisor holds.  What the
 * job writes is always read, so that it never waits for somebody to look;
 * the last of it is kept for whoever comes.  Several may look and type at a
 * time; the size is that of the one who last attached, typed or was resized.
 */
#define TERMINAL_KEPT    (256u << 10) /* bytes of output */
#define TERMINAL_VIEWERS 8
#define TERMINAL_POLLED  (1 + TERMINAL_VIEWERS)

struct viewer {
	int fd; /* -1: free; of its user's making: never wait for it */
	bool read_only;
	uint16_t rows, columns;
	uint64_t sent;  /* output it has, counted from the beginning */
	uint64_t since; /* it took nothing since then; 0: it has all */
	size_t typed;   /* bytes of input that did not fit yet */
	uint8_t input[TERMINAL_DATA];
};

struct terminal {
	int master, slave; /* slave: so that the master is never hung up */
	bool can_copy;     /* typed input can be put back */
	bool stopped;      /* by ctrl-S */
	bool awaited;      /* somebody will come, even if it ends before */
	uint64_t gone_at;  /* waited for until then, once it has ended */
	uint8_t last;      /* byte that was typed */
	uint64_t total;    /* bytes of output so far */
	struct viewer viewers[TERMINAL_VIEWERS];
	uint8_t kept[TERMINAL_KEPT];
};

/*
 * A pty of the mount namespace that mnt_pidfd is in, where it gets a devpts of
 * its own and is /dev/pts/0, for uid.  like: its settings and size are taken
 * over if it is a terminal.
 */
int terminal_new(int mnt_pidfd, pid_t init, uid_t uid, int like,
		 struct terminal **ret, struct err *err);

/* The job is gone: close.  NULL too. */
void terminal_free(struct terminal *t);

/* Somebody wants to look.  fd is taken on success; -EINVAL, -EBUSY. */
int terminal_attach(struct terminal *t, int fd, int flags, uint16_t rows,
		    uint16_t columns, struct err *err);

/*
 * One turn of the supervisor's loop: what to poll, for how long at most
 * (*ret_due: clock_monotonic_ns() or 0), and what came of it.  hold: input is
 * kept back, as the job stands still.
 */
void terminal_poll(struct terminal *t, bool hold, uint64_t now,
		   struct pollfd fds[TERMINAL_POLLED], uint64_t *ret_due);
void terminal_serve(struct terminal *t, const struct pollfd *fds);

/* Read what the job wrote, as much as there is. */
void terminal_drain(struct terminal *t);

/* The job has ended: has everybody got the rest, or is not going to? */
bool terminal_finished(struct terminal *t, uint64_t now);

/* For a snapshot; the job stands still. */
int terminal_copy_input(struct terminal *t, uint8_t ret[TTY_INPUT_ROOM],
			size_t *ret_len, struct err *err);

/* viewer.c */
bool viewer_typed(struct terminal *t, struct viewer *v);
void viewer_send(struct terminal *t, struct viewer *v, uint64_t now);
void viewer_drop(struct viewer *v);
void terminal_type(struct terminal *t, struct viewer *v);

#endif
