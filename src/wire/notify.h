/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_NOTIFY_H
#define JOBCR_WIRE_NOTIFY_H

#include <stdint.h>

#include "util/err.h"
#include "wire/control.h"

/*
 * Hints to the jobcrd of this node: one datagram to RUNDIR/notify, root only
 * (the socket's mode and SCM_CREDENTIALS).  Never waits, has no answer; a
 * hint that is lost is made up for by jobcrd's own watch.
 */
#define NOTIFY_MAGIC 0x6a636e31u /* "jcn1" */

enum notify_event {
	NOTIFY_PREEMPT = 1, /* the extern step ended early: ask Slurm why */
	NOTIFY_SIGNAL,      /* the supervisor holds a signal back; value */
	NOTIFY_RESTORE,     /* the supervisor waits for a restore; value: its
			       generation */
	NOTIFY_ENDED,       /* Slurm's epilog: nothing of the job is left */
	NOTIFY_TURN,        /* a snapshot of the job is due: see its plan */
};

struct notify {
	uint32_t magic;
	uint32_t event;
	int64_t value;
	char job_id[JOB_ID_MAX];
};

/* -ECONNREFUSED or -ENOENT: no jobcrd runs on this node. */
int notify_send(const char *run_dir, const char *job_id,
		enum notify_event event, int64_t value, struct err *err);

/* jobcrd's side: make the socket; take one (-EAGAIN: nothing there). */
int notify_listen(const char *run_dir, int *ret_fd, struct err *err);
int notify_receive(int fd, struct notify *ret, struct err *err);

#endif
