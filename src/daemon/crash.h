/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_DAEMON_CRASH_H
#define JOBCR_DAEMON_CRASH_H

/*
 * The signal by which a job was ended that could not go on, of a wait status
 * of its root: SIGSEGV and the like, SIGKILL, and the exit status of a shell
 * (128 + n) whose last command ended so.  0: any other end.
 *
 * An exit status of its own is no such end, whatever it is: the job, or the
 * user, has decided on it, and what waits for it (a dependency, a workflow)
 * is to have it.  A job that misses a file on its new node FAILED then; its
 * snapshot stays for KeepEnded, and "jobcr restore" brings it back.  Nothing
 * is lost by that, while a job that is held by mistake waits for somebody.
 */
int crash_signal(int status);

#endif
