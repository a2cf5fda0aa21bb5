/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job that jobcrd runs for us in the foreground: our signals are passed to
 * it, and we end as it does.  A jobcrd that is started again in the meantime
 * is asked again: the job knows nothing of it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/client.h"
#include "wire/control.h"

/* How long a jobcrd may be away. */
#define AWAY_TRIES    120
#define AWAY_PAUSE_US 500000
/* One that hangs up so often, each time at once, means it. */
#define HANG_UPS      10
#define AT_ONCE       NSEC_PER_SEC

static int ignore_reply(void *arg, const Reply *reply)
{
	(void)arg;
	return reply->result;
}

void cli_pass_signal(const struct cli *cli, const char *job_id, int sig)
{
	Request req = REQUEST__INIT;
	struct err unused;

	req.op = REQUEST__OPERATION__KILL;
	req.job_id = (char *)job_id;
	req.has_signal = 1;
	req.signal = sig;
	(void)cli_request(cli, &req, NULL, 0, ignore_reply, NULL, &unused);
}

static int begin_wait(const struct cli *cli, const char *job_id,
		      struct client **ret, struct err *err)
{
	Request req = REQUEST__INIT;
	int r;

	req.op = REQUEST__OPERATION__WAIT;
	req.job_id = (char *)job_id;
	if (cli->node)
		r = client_remote(cli->node, cli->host, cli->conf->port,
				  cli->conf->munge_socket, ret, err);
	else
		r = client_local(cli->conf->run_dir, ret, err);
	if (r < 0)
		return r;
	r = client_send(*ret, &req, NULL, 0, err);
	if (r < 0)
		client_free(*ret);
	return r;
}

static int end_as(const Reply *reply, const char *job_id, bool by_signal)
{
	const struct rlimit none = { 0, 0 };
	int status = (int)reply->status;
	sigset_t set;

	if (reply->result < 0)
		return cli_fail_reply(reply);
	if (reply->has_left && reply->left) {
		fprintf(stderr,
			"jobcr: job %s was ended by a checkpoint; go on with: "
			"jobcr restore %s\n",
			job_id, job_id);
		return EXIT_LEFT;
	}
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	if (!by_signal)
		return 128 + WTERMSIG(status);
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static void pass_signals(const struct cli *cli, const char *job_id, int fd)
{
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == sizeof(si))
		cli_pass_signal(cli, job_id, (int)si.ssi_signo);
}

/* Until a reply is there; signals meanwhile go to the job. */
static int await(const struct cli *cli, const char *job_id, struct client *c,
		 int signals, Reply **ret, struct err *err)
{
	struct pollfd fds[2] = { { client_fd(c), POLLIN, 0 },
				 { signals, POLLIN, 0 } };

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (fds[1].revents)
			pass_signals(cli, job_id, signals);
		if (fds[0].revents)
			return client_receive(c, ret, err);
	}
}

/* It has read what we want: not one that has no room for us (ECONNRESET). */
static bool is_hang_up(int r, uint64_t begin_ns)
{
	return r == -ENODATA && clock_monotonic_ns() - begin_ns < AT_ONCE;
}

static int follow(const struct cli *cli, const char *job_id, int signals,
		  bool by_signal)
{
	unsigned int tries, hang_ups = 0;
	struct err err = { 0 };

	for (tries = 0; tries < AWAY_TRIES && hang_ups < HANG_UPS; tries++) {
		uint64_t begin = clock_monotonic_ns();
		struct client *c;
		Reply *reply;
		int r = begin_wait(cli, job_id, &c, &err);

		if (r == 0) {
			tries = 0;
			r = await(cli, job_id, c, signals, &reply, &err);
			client_free(c);
			hang_ups = is_hang_up(r, begin) ? hang_ups + 1 : 0;
		}
		if (r == 0) {
			int status = end_as(reply, job_id, by_signal);

			reply__free_unpacked(reply, NULL);
			return status;
		}
		usleep(AWAY_PAUSE_US);
	}
	if (hang_ups == HANG_UPS)
		err_set(&err, -ECONNREFUSED,
			"jobcrd hangs up each time that it is asked: see its "
			"log");
	return cli_fail(&err);
}

int follow_job(const struct cli *cli, const char *job_id)
{
	static const int passed[] = { SIGHUP,  SIGINT,  SIGQUIT,
				      SIGTERM, SIGUSR1, SIGUSR2,
				      SIGALRM, SIGCONT, SIGWINCH };
	auto_close int fd = -EBADF;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(passed); i++)
		sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return follow(cli, job_id, fd, true);
}

struct ended {
	const char *job_id;
	int status;
	bool by_signal;
};

static int on_end(void *arg, const Reply *reply)
{
	struct ended *e = arg;

	e->status = end_as(reply, e->job_id, e->by_signal);
	return 0;
}

int follow_end(const struct cli *cli, const char *job_id, bool by_signal)
{
	struct ended ended = { .status = STATUS_FAILED,
			       .job_id = job_id,
			       .by_signal = by_signal };
	Request req = REQUEST__INIT;
	struct err err = { 0 };

	req.op = REQUEST__OPERATION__WAIT;
	req.job_id = (char *)job_id;
	if (cli_has_daemon(cli))
		return follow(cli, job_id, -1, by_signal);
	if (cli_request(cli, &req, NULL, 0, on_end, &ended, &err) < 0)
		return cli_fail(&err);
	return ended.status;
}

int cmd_wait(const struct cli *cli, int argc, char **argv)
{
	if (argc != 2)
		return cli_usage("wait JOBID");
	return follow_end(cli, argv[1], false);
}
