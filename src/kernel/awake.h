/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_KERNEL_AWAKE_H
#define JOBCR_KERNEL_AWAKE_H

/*
 * Idle processors do not sleep, so that who is called by another one runs at
 * once: thousands of such calls are in the stop of a large job, and to wake up
 * takes longer than what is then done.  Returns a descriptor; < 0: this node
 * cannot, and all is as before.  The request ends with the process, too.
 */
int awake_begin(void);

/* Of what awake_begin returned; 0 is none.  Then *fd is 0. */
void awake_end(int *fd);

#endif
