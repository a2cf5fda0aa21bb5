/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_WIRE_LAUNCH_H
#define JOBCR_WIRE_LAUNCH_H

#include <stdint.h>

/*
 * How spank_jobcr.so hands Slurm's task over to jobcr-supervisor.  slurmstepd
 * forks the task; in task_init_privileged that process forks the job's side
 * and, once the job's side has reached task_init (slurmstepd may call
 * setpgid() on the task until then, which fails after an exec), executes
 *
 *   jobcr-supervisor --slurm ID --job ID --uid UID --gid GID
 *       --run-dir DIR --libexec DIR --name NAME --carry PREFIX
 *       --child PID { --init PID | --restore GENERATION }
 *
 * with descriptor 3 the launch socket (SOCK_SEQPACKET) and everything else
 * closed but 0, 1, 2, which are /dev/null, and with --init 4: its end of a
 * SOCK_SEQPACKET pair.  All signals are blocked.
 *
 * First run (--init): PID 1 of the job's pid namespace is there, with a mount
 * namespace; it runs "jobcr-supervisor [--host-ipc] --init-process" with the
 * other end of
 * that pair as descriptor 3, and is a child of the supervisor, as is --child,
 * the job (pid 2 inside, own session).  Init makes its mounts private, mounts
 * a /proc of its own and then sends one byte 0: wait for it (MSG_PEEK leaves
 * it for the supervisor, which does not mind either way) before the job's
 * side enters the mount namespace.  Later bytes are numbers of signals that
 * init was sent, so that the supervisor knows when Slurm signals every
 * process by itself.  Init ends, and with it all that is left of the job,
 * when the supervisor's end closes or the supervisor dies.  The supervisor
 * puts both into its own cgroups and affinity, then answers LAUNCH_GO; the
 * job then executes the batch script.
 *
 * Restore: --child is a plain process outside any namespace that only hands
 * over Slurm's standard input, output and error; it ends after LAUNCH_GO.
 * The supervisor makes the namespaces, asks the daemon for the restore into
 * itself, and ends with the status of the restored root.
 *
 * Both: the ready message carries the three descriptors.
 */
#define INIT_PROCESS  "--init-process"
#define INIT_HOST_IPC "--host-ipc" /* before it: no IPC namespace of its own   \
				    */

#define LAUNCH_MAGIC 0x6a636c31u /* "jcl1" */
#define LAUNCH_FD    3

enum launch_kind {
	LAUNCH_READY = 1, /* job's side, in task_init; with descriptors 0-2.
			     The sender's pid is --child (SCM_CREDENTIALS are
			     not asked for) */
	LAUNCH_GO,        /* supervisor: placed, go on */
};

struct launch_message {
	uint32_t magic;
	uint32_t kind;
};

#endif
