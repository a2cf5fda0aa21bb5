/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals on their way to the job's root.  While a checkpoint is under way,
 * or until jobcrd has found out why Slurm sends SIGTERM, they are kept here:
 * a job that is preempted must see nothing of it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "shim/supervisor.h"
#include "util/clock.h"
#include "wire/notify.h"

#define MSEC 1000000ull
/* A signal to the whole tree reaches init within this. */
#define TREE_WAIT (50 * MSEC)
/* Slurm's SIGKILL follows its SIGTERM after KillWait, 30 s by default. */
#define DECIDE_WAIT (10 * NSEC_PER_SEC)
/* Slurm sends SIGCONT together with SIGTERM, in either order. */
#define CONT_WAIT (1 * NSEC_PER_SEC)
/* jobcrd's queue is short, and all jobs of a node may be preempted at once. */
#define ASK_AGAIN (20 * MSEC)
/* It may be restarted just now. */
#define RESTART_WAIT (2 * NSEC_PER_SEC)

#define BIT(sig) (1ull << ((sig)-1))
#define STOPS    (BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU) | BIT(SIGSTOP))

static bool held_back(const struct supervisor *s)
{
	return !s->root || s->hold_until > clock_monotonic_ns() || s->holders;
}

void forward_signal(struct supervisor *s, int sig, bool group)
{
	if (sig != SIGKILL && held_back(s)) {
		/* As the kernel does: one undoes the other. */
		if (sig == SIGCONT)
			s->held &= ~STOPS;
		else if (STOPS & BIT(sig))
			s->held &= ~BIT(SIGCONT);
		s->held |= BIT(sig);
		return;
	}
	if (s->root)
		kill(group ? -s->root : s->root, sig);
}

void forward_held(struct supervisor *s)
{
	int sig;

	if (held_back(s))
		return;
	for (sig = 1; sig <= 64; sig++)
		if (s->held & BIT(sig))
			kill(s->root, sig);
	s->held = 0;
}

static int ask_why(struct supervisor *s, uint64_t now)
{
	struct err unused;
	int r = notify_send(s->opt->run_dir, s->opt->job_id, NOTIFY_SIGNAL,
			    SIGTERM, &unused);

	s->ask_at = r < 0 ? now + ASK_AGAIN : 0;
	if (r == 0)
		s->hold_until = now + DECIDE_WAIT;
	return r;
}

/* Slurm's word that the job is to end: ask jobcrd whether it means it. */
static void decide(struct supervisor *s, int sig)
{
	uint64_t now = clock_monotonic_ns();
	int r;

	if (sig == SIGCONT && s->hold_until < now)
		s->hold_until = now + CONT_WAIT;
	if (sig != SIGTERM)
		return;
	if (s->linger && !s->root)
		s->over = true;
	if (s->holders || s->over)
		return;
	/* One whose queue is full will say why, one that is not there may. */
	r = ask_why(s, now);
	if (r < 0)
		s->hold_until =
			now + (r == -EAGAIN ? DECIDE_WAIT : RESTART_WAIT);
}

static void from_slurm(struct supervisor *s, int sig)
{
	decide(s, sig);
	forward_signal(s, sig, false);
	forward_held(s);
}

void forward_read(struct supervisor *s)
{
	struct signalfd_siginfo si;
	uint64_t now = clock_monotonic_ns();
	int sig;

	if (read(s->signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	sig = (int)si.ssi_signo;
	if (sig < 1 || sig > 64 || sig == SIGCHLD)
		return;
	if (!s->opt->slurm) {
		/* The terminal means its whole foreground group. */
		forward_signal(s, sig, si.ssi_code == SI_KERNEL);
		return;
	}
	if (s->seen[sig] + 2 * TREE_WAIT > now && s->seen[sig])
		s->seen[sig] = 0;
	else
		s->pending[sig] = now + TREE_WAIT;
}

void forward_init(struct supervisor *s, int sig)
{
	if (sig < 1 || sig > 64)
		return;
	if (s->pending[sig])
		s->pending[sig] = 0;
	else
		s->seen[sig] = clock_monotonic_ns();
}

static void sooner(uint64_t *at, uint64_t when)
{
	if (when && (!*at || when < *at))
		*at = when;
}

uint64_t forward_due(struct supervisor *s, uint64_t now)
{
	uint64_t next = 0;
	int sig;

	for (sig = 1; sig <= 64; sig++) {
		if (s->pending[sig] && s->pending[sig] <= now) {
			s->pending[sig] = 0;
			from_slurm(s, sig);
		}
		sooner(&next, s->pending[sig]);
	}
	/* Whoever holds it back has come without being asked. */
	if (s->ask_at && (s->holders || !s->hold_until))
		s->ask_at = 0;
	if (s->ask_at && s->ask_at <= now)
		(void)ask_why(s, now);
	if (s->hold_until <= now) {
		s->hold_until = s->ask_at = 0;
		forward_held(s);
	}
	sooner(&next, s->ask_at);
	sooner(&next, s->hold_until);
	return next;
}
