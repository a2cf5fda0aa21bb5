/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_INJECT_PASSAGE_H
#define JOBCR_INJECT_PASSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject/filters.h"
#include "inject/tracee.h"
#include "util/err.h"

/*
 * What a thread has put between itself and the kernel, seccomp filters and
 * user dispatch, and whether calls of ours come through.  While we live
 * filters are not asked, but a call may be made when we have died.
 */
struct passage {
	struct filters filters;
	struct dispatch dispatch;
	bool selected;             /* the selector lets calls pass now */
	uint64_t call_ip, back_ip; /* ends of the instructions that we use */
};

/* A call that is made in a job's thread. */
struct remote_ask {
	const char *name; /* NULL: the last of a list */
	long nr;
	unsigned int known; /* so many arguments are always these */
	uint64_t args[6];
	bool must; /* it takes something back: it may not fail either */
};

/* Whether its selector, of a thread of pid, lets all calls pass now. */
bool dispatch_selected(const struct dispatch *d, pid_t pid);

/* Of a stopped thread.  Takes the ends of a call and of rt_sigreturn. */
int passage_read(struct passage *ret, pid_t pid, struct tracee *t,
		 uint64_t call_ip, uint64_t back_ip, struct err *err);
void passage_done(struct passage *p);

/* Calls of ours pass its user dispatch only as the selector is now. */
bool passage_needs_selector(const struct passage *p);

/*
 * Whatever we do, it gets home, and its own calls that our stop interrupts go
 * on.  -ENOTSUP: it might not; the text says what is in its way.
 */
int passage_leads_home(const struct passage *p, struct err *err);

/* The same of one call: it is made, or fails, without harm. */
int passage_admits(const struct passage *p, const struct remote_ask *ask,
		   struct err *err);

#endif
