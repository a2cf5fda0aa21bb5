/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/mourn.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

/* Whoever kills a tree kills its processes one after the other. */
#define REST_NS (2 * NSEC_PER_SEC)

struct mourner {
	struct frozen_tree *tree;
	size_t alive, dead; /* threads */
	pthread_t thread;
	int signal_fd, stop_fd;
	sigset_t old;
};

static void note(struct mourner *m, const siginfo_t *info)
{
	int status = info->si_status;

	if (info->si_code == CLD_EXITED)
		status = (status & 0xff) << 8;
	for (size_t i = 0; i < m->tree->ntasks; i++) {
		struct frozen_task *task = &m->tree->tasks[i];

		for (size_t k = 0; k < task->nthreads; k++) {
			struct tracee *t = &task->threads[k].tracee;

			if (t->tid != info->si_pid || t->death >= 0)
				continue;
			t->death = status;
			t->stopped = false;
			m->alive--;
			m->dead++;
		}
	}
}

/* Deaths only: stops of those that live belong to their tracer. */
static void take_deaths(struct mourner *m)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) < 0 ||
		    info.si_pid == 0)
			return;
		note(m, &info);
	}
}

static void clear_signal(const struct mourner *m)
{
	struct signalfd_siginfo unused;

	(void)!read(m->signal_fd, &unused, sizeof(unused));
}

static void *mourn_main(void *arg)
{
	struct mourner *m = arg;
	struct pollfd fds[] = { { .fd = m->stop_fd, .events = POLLIN },
				{ .fd = m->signal_fd, .events = POLLIN } };

	do {
		if (fds[1].revents)
			clear_signal(m);
		take_deaths(m);
	} while ((poll(fds, ARRAY_SIZE(fds), -1) > 0 || errno == EINTR) &&
		 !fds[0].revents);
	return NULL;
}

static void release(struct mourner *m)
{
	(void)pthread_sigmask(SIG_SETMASK, &m->old, NULL);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
	if (m->stop_fd >= 0)
		close(m->stop_fd);
	free(m);
}

int mourn_begin(struct frozen_tree *tree, struct mourner **ret, struct err *err)
{
	struct mourner *m = calloc(1, sizeof(*m));
	sigset_t child, all, before;
	int r;

	if (!m)
		return err_num(err, ENOMEM, "mourner");
	m->tree = tree;
	for (size_t i = 0; i < tree->ntasks; i++)
		for (size_t k = 0; k < tree->tasks[i].nthreads; k++)
			m->alive += tree->tasks[i].threads[k].tracee.death < 0;
	/* A blocked signal is kept, also one that is ignored by default. */
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)pthread_sigmask(SIG_BLOCK, &child, &m->old);
	m->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	m->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (m->signal_fd < 0 || m->stop_fd < 0) {
		r = err_sys(err, "mourner");
		release(m);
		return r;
	}
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&m->thread, NULL, mourn_main, m);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		release(m);
		return err_num(err, r, "mourner");
	}
	*ret = m;
	return 0;
}

bool mourn_end(struct mourner *m)
{
	uint64_t deadline = clock_monotonic_ns() + REST_NS, one = 1;
	bool gone;

	if (!m)
		return false;
	(void)!write(m->stop_fd, &one, sizeof(one));
	(void)pthread_join(m->thread, NULL);
	take_deaths(m);
	while (m->dead && m->alive && clock_monotonic_ns() < deadline) {
		struct pollfd fd = { .fd = m->signal_fd, .events = POLLIN };

		(void)poll(&fd, 1, 10);
		clear_signal(m);
		take_deaths(m);
	}
	gone = m->alive == 0;
	release(m);
	return gone;
}
