/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/held_up.h"
#include "operation/launch.h"
#include "operation/way.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/frame.h"

#define WORKER_FD 3
/*
 * A worker ends itself at its deadline; this is for one that cannot.  One that
 * the kernel holds in a call to storage ends when that does, and nobody waits
 * for it: what it traced goes on as soon as it was killed.
 */
#define GRACE_MS 5000
#define END_MS   2000
#define IDLE_MS  1000

#define TIMEOUT_MAX_S (1u << 20) /* twelve days */

static void become_worker(const char *path, int fd) __attribute__((noreturn));
static void become_worker(const char *path, int fd)
{
	char *const argv[] = { (char *)"jobcr-worker", NULL };
	char *const envp[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), i;
	sigset_t none;

	/* Its stderr stays: a crash of it must be seen somewhere. */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 8);
	for (i = 0; i < 2; i++)
		dup2(null, i);
	dup2(fd, WORKER_FD);
	close_range(WORKER_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	for (i = 1; i < SIGRTMAX; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of the caller's terminal: a Ctrl-C must not kill it halfway. */
	setsid();
	execve(path, argv, envp);
	_exit(127);
}

static int spawn(const struct conf *conf, pid_t *ret_pid, int *ret_fd,
		 struct err *err)
{
	char path[4096];
	int pair[2];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/jobcr-worker", conf->libexec);
	if (access(path, X_OK) < 0)
		return err_sys(err, "%s", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	pid = fork();
	if (pid == 0)
		become_worker(path, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_sys(err, "fork");
	}
	*ret_pid = pid;
	*ret_fd = pair[0];
	return 0;
}

static int answer(int fd, bool yes, struct err *err)
{
	WorkerAnswer a = WORKER_ANSWER__INIT;

	a.yes = yes;
	return frame_send(fd, FRAME_WORKER_ANSWER, &a.base, NULL, 0, err);
}

static int serve(int fd, const WorkerMessage *m,
		 const struct worker_hooks *hooks, struct err *err)
{
	bool yes = true;

	if (m->phase && hooks->phase)
		hooks->phase(hooks->arg, m->phase);
	if (m->has_total && hooks->progress)
		hooks->progress(hooks->arg, m->done, m->total);
	if (!m->has_wait || !m->wait)
		return 0;
	if (m->has_published && m->published)
		yes = hooks->published &&
		      hooks->published(hooks->arg, m->generation,
				       m->has_gone && m->gone);
	else if (hooks->proceed)
		yes = hooks->proceed(hooks->arg);
	return answer(fd, yes, err);
}

/*
 * Until it says something or is dead: a child of its own may outlive it for a
 * moment, or for ever, and holds its end as well.
 */
static int await_word(int fd, int pid_fd, int timeout_ms,
		      const struct worker_hooks *hooks, struct err *err)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN },
			      { .fd = pid_fd, .events = POLLIN } };
	int n;

	do
		n = poll(p, ARRAY_SIZE(p), hooks->idle ? IDLE_MS : timeout_ms);
	while ((n < 0 && errno == EINTR) ||
	       (n == 0 && hooks->idle && hooks->idle(hooks->arg)));
	if (n < 0)
		return err_sys(err, "poll");
	if (n == 0)
		return err_set(err, -EAGAIN, "the worker does not answer");
	/* Its last word may have come after the look at its end. */
	if (!p[0].revents && poll(p, 1, 0) <= 0)
		return err_set(err, -ECHILD, "the worker has ended");
	return 0;
}

static int talk(int fd, int pid_fd, int timeout_ms,
		const struct worker_hooks *hooks, Reply **ret, struct err *err)
{
	for (;;) {
		ProtobufCMessage *msg;
		WorkerMessage *m;
		int r = await_word(fd, pid_fd, timeout_ms, hooks, err);

		if (r == 0)
			r = frame_receive(fd, FRAME_WORKER_MESSAGE,
					  &worker_message__descriptor, &msg,
					  NULL, NULL, err);
		if (r < 0)
			return r;
		m = (WorkerMessage *)msg;
		if (m->reply) {
			*ret = m->reply;
			m->reply = NULL;
			worker_message__free_unpacked(m, NULL);
			return 0;
		}
		r = serve(fd, m, hooks, err);
		worker_message__free_unpacked(m, NULL);
		if (r < 0)
			return r;
	}
}

/* Without a reply the way it ended says something. */
static int explain(int status, int r, struct err *err)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return err_set(err, -ETIMEDOUT,
			       "the operation ran out of time (Timeout in "
			       "jobcr.conf)");
	if (WIFSIGNALED(status) && WTERMSIG(status) == WAY_SIGNAL)
		return err_set(err, -ECANCELED,
			       "it gave way: Slurm ends the job on this node, "
			       "and that snapshot comes first");
	if (WIFSIGNALED(status))
		return err_set(err, -ECHILD,
			       "the worker was killed by signal "
			       "%d; the job was not changed",
			       WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return err_set(err, -ECHILD, "the worker ended with status %d",
			       WEXITSTATUS(status));
	return r;
}

/* false: it is held up, and is left to itself. */
static bool await_end(pid_t pid, int *ret_status)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };
	uint64_t deadline = clock_monotonic_ns() + END_MS * 1000000ull;
	pid_t got;

	while ((got = waitpid(pid, ret_status, WNOHANG)) == 0 &&
	       clock_monotonic_ns() < deadline)
		nanosleep(&nap, NULL);
	return got != 0;
}

/* A file of the store's, or one of the job's own. */
static int tell_held(const WorkerRequest *req, pid_t pid, int r,
		     struct err *err)
{
	char path[512];

	if (!held_up_at(pid, path, sizeof(path)))
		(void)snprintf(path, sizeof(path), "%s",
			       req->dir ? req->dir : req->store);
	return err_set(err, r,
		       "the operation ran out of time (Timeout in jobcr.conf): "
		       "storage hangs, and holds worker %d; see to %s",
		       pid, path);
}

static bool gives_way(const WorkerRequest *req)
{
	return req->op == WORKER_REQUEST__OPERATION__CHECKPOINT &&
	       !(req->has_kill && req->kill) && req->run_dir;
}

static int timeout_of(const WorkerRequest *req)
{
	uint32_t s = req->timeout_s;

	return (int)((s < TIMEOUT_MAX_S ? s : TIMEOUT_MAX_S) * 1000 + GRACE_MS);
}

/* What holds for all of a cluster's jobs; strings are borrowed. */
static WorkerRequest complete(const struct conf *conf, const WorkerRequest *req)
{
	WorkerRequest w = *req;

	w.has_seal = 1;
	w.seal = launch_seals(conf, req->cluster);
	w.munge_socket = conf->munge_socket;
	w.fast_here = conf->fast_dir;
	return w;
}

int worker_run(const struct conf *conf, const WorkerRequest *req,
	       const struct worker_hooks *hooks, Reply **ret, struct err *err)
{
	const WorkerRequest whole = complete(conf, req);
	auto_close int fd = -EBADF, pid_fd = -EBADF;
	int timeout_ms = -1, status = 0, r;
	bool held = false;
	pid_t pid = -1;

	r = spawn(conf, &pid, &fd, err);
	if (r < 0)
		return r;
	pid_fd = (int)syscall(SYS_pidfd_open, pid, 0); /* or -1: poll skips */
	if (gives_way(req))
		way_note(conf, req->job_id, pid);
	r = frame_send(fd, FRAME_WORKER_REQUEST, &whole.base, NULL, 0, err);
	if (r == 0 && req->has_timeout_s) {
		timeout_ms = timeout_of(req);
		r = frame_timeout(fd, (unsigned int)timeout_ms, err);
	}
	if (r == 0)
		r = talk(fd, pid_fd, timeout_ms, hooks, ret, err);
	if (r == -EAGAIN) {
		kill(pid, SIGKILL);
		held = !await_end(pid, &status);
		r = err_set(err, -ETIMEDOUT,
			    "the worker does not answer (Timeout in "
			    "jobcr.conf)");
	}
	close(take_fd(&fd));
	while (!held && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (gives_way(req))
		way_note(conf, req->job_id, 0);
	if (held)
		return tell_held(req, pid, r, err);
	return r < 0 ? explain(status, r, err) : 0;
}
