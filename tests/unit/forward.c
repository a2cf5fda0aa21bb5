/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slurm's SIGTERM at a supervisor: the job does not see it while jobcrd finds
 * out why, also when so many jobs get it at once that jobcrd's queue is full,
 * or jobcrd is restarted in this moment.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/supervisor.h"
#include "tests/lib/tap.h"
#include "util/clock.h"
#include "wire/notify.h"

#define TERM_BIT (1ull << (SIGTERM - 1))

static char dir[] = "/tmp/jobcr-forward.XXXXXX";

static pid_t start_job(void)
{
	pid_t pid = fork();

	if (pid < 0)
		exit(1);
	while (pid == 0)
		pause();
	return pid;
}

static bool is_held(const struct supervisor *s)
{
	int status;

	return waitpid(s->root, &status, WNOHANG) == 0 && (s->held & TERM_BIT);
}

static bool is_killed(const struct supervisor *s)
{
	int status = 0;

	return !(s->held & TERM_BIT) &&
	       waitpid(s->root, &status, 0) == s->root && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGTERM;
}

/* As Slurm's, when it is clear that the tree did not get it, too. */
static void get_sigterm(struct supervisor *s)
{
	s->pending[SIGTERM] = 1;
	(void)forward_due(s, clock_monotonic_ns());
}

static int fill_queue(void)
{
	struct err unused;
	int r;

	do {
		r = notify_send(dir, "1", NOTIFY_PREEMPT, 0, &unused);
	} while (r == 0);
	return r;
}

static unsigned int empty_queue(int fd, enum notify_event what)
{
	unsigned int n = 0;
	struct notify got;

	while (recv(fd, &got, sizeof(got), MSG_DONTWAIT) == sizeof(got))
		n += got.event == (uint32_t)what;
	return n;
}

/* The supervisor's loop, until it has asked. */
static unsigned int await_question(struct supervisor *s, int fd)
{
	uint64_t until = clock_monotonic_ns() + 5 * NSEC_PER_SEC, now, due;
	struct pollfd p = { fd, POLLIN, 0 };

	while ((now = clock_monotonic_ns()) < until) {
		due = forward_due(s, now);
		if (!due || poll(&p, 1, (int)((due - now) / 1000000) + 1) > 0)
			break;
	}
	return empty_queue(fd, NOTIFY_SIGNAL);
}

int main(void)
{
	struct shim_options opt = { .job_id = "7", .slurm = 7 };
	struct supervisor s = { .opt = &opt }, late = { .opt = &opt },
			  restarted = { .opt = &opt }, alone = { .opt = &opt };
	char path[64];
	struct err err;
	int fd;

	if (!mkdtemp(dir))
		return 1;
	opt.run_dir = dir;
	snprintf(path, sizeof(path), "%s/notify", dir);
	if (notify_listen(dir, &fd, &err) < 0) {
		diag("%s", err.text);
		return 1;
	}
	s.root = start_job();
	get_sigterm(&s);
	ok(is_held(&s), "SIGTERM is kept from the job");
	ok(empty_queue(fd, NOTIFY_SIGNAL) == 1, "jobcrd is asked once");
	kill(s.root, SIGKILL);
	(void)waitpid(s.root, NULL, 0);

	late.root = start_job();
	ok(fill_queue() == -EAGAIN, "jobcrd's queue is full");
	get_sigterm(&late);
	ok(is_held(&late), "SIGTERM is kept from the job all the same");
	(void)empty_queue(fd, NOTIFY_PREEMPT);
	ok(await_question(&late, fd) == 1,
	   "jobcrd is asked when it has taken some");
	(void)fill_queue();
	late.hold_until = 1;
	(void)forward_due(&late, clock_monotonic_ns());
	ok(is_killed(&late) && !late.ask_at, "but not for ever");

	close(fd);
	(void)unlink(path);
	restarted.root = start_job();
	get_sigterm(&restarted);
	ok(is_held(&restarted), "jobcrd is not there: it may come back");
	if (notify_listen(dir, &fd, &err) < 0)
		return 1;
	ok(await_question(&restarted, fd) == 1, "it is asked when it does");
	kill(restarted.root, SIGKILL);
	(void)waitpid(restarted.root, NULL, 0);

	close(fd);
	(void)unlink(path);
	alone.root = start_job();
	get_sigterm(&alone);
	(void)await_question(&alone, -1);
	ok(is_killed(&alone), "without a jobcrd the job gets it soon");
	(void)rmdir(dir);
	return done_testing();
}
