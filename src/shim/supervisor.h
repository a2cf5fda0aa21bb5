/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOBCR_SHIM_SUPERVISOR_H
#define JOBCR_SHIM_SUPERVISOR_H

#include "shim/shim.h"
#include "shim/terminal.h"
#include "wire/control.h"

/* Connections at a time; more wait in the socket's queue. */
#define CLIENTS_MAX 32
#define WAITERS_MAX 24

struct client {
	int fd;        /* -1: free */
	bool holds;    /* signals are held back for it */
	bool waits;    /* wants to know the end */
	bool guards;   /* decides what the end of the root is */
	bool spawned;  /* the root that is being built is its work */
	bool left;     /* announced that the job ends by a checkpoint */
	bool shelters; /* the tree is sheltered for it */
	pid_t pid;
};

struct shim_shelter;

/*
 * One job.  Everything is in here: nothing is allocated while it runs, but
 * for a shelter.
 */
struct supervisor {
	const struct shim_options *opt;
	struct control_info info;
	struct control_info told; /* as the record has it */
	struct shim_spaces spaces;
	bool have_spaces;
	struct err no_spaces; /* why a restore has none */
	struct client clients[CLIENTS_MAX];
	int dir_fd; /* RUNDIR/jobs/JOBID */
	int signal_fd, listen_fd, launch_fd, puppet_fd;
	int kept_fd;      /* for the next worker; -1: none */
	int stdio[3];     /* restore: of the new step, until it runs */
	int tty_fd;       /* where the caller can be told something; -1 */
	pid_t root, init; /* 0: not there (yet, or any more) */
	pid_t built;      /* puppet that is to become the root */
	pid_t helper;     /* the last other one, which the worker may not
			     trace yet; 0 */
	bool built_ended; /* it has ended already, with built_status */
	int built_status;
	bool linger;      /* after a checkpoint: stay until Slurm's SIGTERM */
	bool over;        /* the root has ended, or there will be none */
	int status;       /* of the root, as wait(2) gives it */
	int abort_status; /* a restore failed: exit with this; -1: no */
	unsigned int holders; /* connections that hold signals back */
	uint64_t held;        /* signals to be forwarded later: bit n - 1 */
	uint64_t hold_until;  /* monotonic ns: until jobcrd knows why */
	uint64_t ask_at;      /* it could not be asked: again then; 0: it was */
	uint64_t left_until;  /* who announced the end is gone: it is to come */
	uint64_t idle_since;  /* restore: nobody has come since; 0: not idle */
	uint64_t next_notify;
	struct terminal *terminal;    /* NULL: none */
	struct shim_shelter *shelter; /* NULL: not sheltered */
	uint64_t pending[65]; /* Slurm's signal: when to forward it; 0: none */
	uint64_t seen[65];    /* when init got it */
};

/* The control socket: make it, take a connection, serve one request. */
int serve_listen(struct supervisor *s, struct err *err);
void serve_accept(struct supervisor *s);
void serve_client(struct supervisor *s, struct client *c);
void serve_ended(struct supervisor *s);
void serve_alive(struct supervisor *s);
void serve_root_ended(struct supervisor *s, int status);
bool serve_busy(const struct supervisor *s);
bool serve_guarded(const struct supervisor *s);

/* A terminal for the job; like: a terminal whose settings it takes, -1. */
int serve_make_terminal(struct supervisor *s, int like, struct err *err);

/*
 * Shelter the tree, which stands still, for a worker: see wire/shelter.h.
 * *ret_fd is for the worker alone.  leave brings it back, also what is left
 * of a tree that has ended.
 */
int shelter_enter(struct supervisor *s, pid_t worker, int *ret_fd,
		  struct err *err);
void shelter_leave(struct supervisor *s);

/* A signal for the root: now, or when it is no longer held back. */
void forward_signal(struct supervisor *s, int sig, bool group);
void forward_held(struct supervisor *s);

/* One read from the signalfd, one byte from init. */
void forward_read(struct supervisor *s);
void forward_init(struct supervisor *s, int sig);

/* What is due by now; returns when to come again (monotonic ns, 0: never). */
uint64_t forward_due(struct supervisor *s, uint64_t now);

#endif
