/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "wire/launch.h"

/* What the job's process ends with when its supervisor cannot be executed. */
#define EXIT_NO_SUPERVISOR 127

/* Init mounts one /proc and answers; a node may be very busy. */
#define INIT_TIMEOUT_MS 30000

struct family {
	pid_t init;
	pid_t job;
	int init_sock; /* the supervisor's end */
	int sock;      /* to the job's side: the supervisor's end */
	char program[4096];
};

/* Leave count descriptors, as 3 and up, and /dev/null as 0, 1, 2. */
static void keep_only(const int *fds, int count)
{
	int high[2], i, null;

	/* Out of the way first: the targets may hold each other. */
	for (i = 0; i < count; i++)
		high[i] = fcntl(fds[i], F_DUPFD, 16);
	null = open("/dev/null", O_RDWR);
	for (i = 0; i < 3; i++)
		dup2(null, i);
	for (i = 0; i < count; i++)
		dup2(high[i], LAUNCH_FD + i);
	/* srun and slurmstepd wait for the end of pipes: hold none. */
	syscall(SYS_close_range, LAUNCH_FD + count, ~0u, 0);
}

/*
 * PID 1 of a new pid and mount namespace.  A plain clone3 leaves the task's
 * own children where they were, should anything fail later on; the child
 * only makes system calls before it executes.
 */
static int start_init(struct family *f, bool host_ipc, struct err *err)
{
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNS,
		.exit_signal = SIGCHLD,
	};
	int pair[2];
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		keep_only(&pair[1], 1);
		execl(f->program, "jobcr-init",
		      host_ipc ? INIT_HOST_IPC : INIT_PROCESS,
		      host_ipc ? INIT_PROCESS : NULL, NULL);
		_exit(EXIT_NO_SUPERVISOR);
	}
	close(pair[1]);
	f->init_sock = pair[0];
	if (pid < 0)
		return err_sys(err, "new pid and mount namespaces");
	f->init = (pid_t)pid;
	return 0;
}

/* Init says one byte when its mounts and its /proc are there. */
static int await_init(const struct family *f, struct err *err)
{
	struct pollfd p = { .fd = f->init_sock, .events = POLLIN };
	char c;
	int r;

	do {
		r = poll(&p, 1, INIT_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "poll");
	if (r == 0)
		return err_set(err, -ETIMEDOUT, "init does not answer");
	if (recv(f->init_sock, &c, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		return err_set(err, -ECHILD, "%s --init-process has ended",
			       f->program);
	return 0;
}

static int open_namespace(pid_t pid, const char *name, struct err *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "%s", path) : fd;
}

/* fork() into the pid namespace of init: the child is our own child. */
static int fork_inside(struct family *f, struct err *err)
{
	auto_close int inside = open_namespace(f->init, "pid", err);
	auto_close int own = -EBADF;

	if (inside < 0)
		return inside;
	own = open_namespace(getpid(), "pid", err);
	if (own < 0)
		return own;
	if (setns(inside, CLONE_NEWPID) < 0)
		return err_sys(err, "enter the pid namespace");
	f->job = fork();
	if (f->job == 0)
		return 0;
	if (f->job < 0)
		(void)err_sys(err, "fork");
	/* Further children of the task are not the job's. */
	if (setns(own, CLONE_NEWPID) < 0)
		return err_sys(err, "leave the pid namespace");
	return f->job < 0 ? err->code : 0;
}

/*
 * The job enters init's mounts and IPC namespace: setns() moves it to /, so it
 * goes back to where Slurm had put it.  A session of its own gives it ids that
 * mean something inside: the session of slurmstepd would be 0.
 */
static int enter_spaces(const struct family *f, struct err *err)
{
	auto_close int mounts = open_namespace(f->init, "mnt", err);
	auto_close int ipc = open_namespace(f->init, "ipc", err);
	auto_free char *cwd = getcwd(NULL, 0);

	if (mounts < 0 || ipc < 0)
		return mounts < 0 ? mounts : ipc;
	if (setns(ipc, CLONE_NEWIPC) < 0)
		return err_sys(err, "enter the IPC namespace");
	if (setns(mounts, CLONE_NEWNS) < 0)
		return err_sys(err, "enter the mount namespace");
	if (chdir(cwd ? cwd : "/") < 0)
		return err_sys(err, "back to %s", cwd ? cwd : "/");
	setsid();
	return 0;
}

/* The job's side: on any failure it ends, and the task sees that. */
static int become_job(struct family *f, const sigset_t *mask, int sock,
		      int *ret_sock, struct err *err)
{
	close(f->sock);
	if (f->init_sock >= 0)
		close(f->init_sock);
	if (f->init > 0 && enter_spaces(f, err) < 0)
		_exit(EXIT_NO_SUPERVISOR);
	sigprocmask(SIG_SETMASK, mask, NULL);
	*ret_sock = sock;
	return 0;
}

/* The job's side died before it was ready: end as it did. */
static void end_like_job(const struct family *f)
{
	int status = 0;

	if (f->init > 0)
		kill(f->init, SIGKILL);
	while (waitpid(f->job, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status)
						       : EXIT_NO_SUPERVISOR);
}

/*
 * slurmstepd calls setpgid() on the task, which fails once it has executed
 * something; when the job's side is ready that is over.
 */
static void await_job(const struct family *f)
{
	struct launch_message m;
	ssize_t n;

	do {
		n = recv(f->sock, &m, sizeof(m), MSG_PEEK);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		end_like_job(f);
}

/* Numbers as the arguments they become. */
struct number {
	char text[16];
};

static const char *number(struct number *n, long value)
{
	snprintf(n->text, sizeof(n->text), "%ld", value);
	return n->text;
}

static void become_supervisor(const struct launch *l, const struct family *f)
{
	const int fds[2] = { f->sock, f->init_sock };
	struct number job, uid, gid, child, last;
	char options[JOB_OPTIONS_TEXT];

	keep_only(fds, f->init > 0 ? 2 : 1);
	number(&job, l->job);
	job_options_format(&l->options, options);
	execl(f->program, "jobcr-supervisor", "--slurm", job.text, "--job",
	      job.text, "--uid", number(&uid, l->uid), "--gid",
	      number(&gid, l->gid), "--run-dir", l->run_dir, "--libexec",
	      l->libexec, "--name", l->name, "--carry", l->carry,
	      "--options", options, "--child",
	      number(&child, f->job), l->generation ? "--restore" : "--init",
	      number(&last, l->generation ? (long)l->generation : f->init),
	      NULL);
	end_like_job(f);
}

static int start_family(const struct launch *l, struct family *f,
			struct err *err)
{
	int r;

	if (l->generation) {
		f->job = fork();
		return f->job < 0 ? err_sys(err, "fork") : 0;
	}
	r = start_init(f, l->options.ipc == JOB_IPC_HOST, err);
	if (r == 0)
		r = await_init(f, err);
	if (r == 0)
		r = fork_inside(f, err);
	return r;
}

int launch_start(const struct launch *launch, int *ret_sock, struct err *err)
{
	struct family f = {
		.init = -1, .job = -1, .init_sock = -1, .sock = -1
	};
	sigset_t all, mask;
	int pair[2], r;

	snprintf(f.program, sizeof(f.program), "%s/jobcr-supervisor",
		 launch->libexec);
	if (access(f.program, X_OK) < 0)
		return err_sys(err, "%s", f.program);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	f.sock = pair[0];
	/* From here on a signal to the task is the supervisor's to see. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	r = start_family(launch, &f, err);
	if (r == 0 && f.job == 0)
		return become_job(&f, &mask, pair[1], ret_sock, err);
	close(pair[1]);
	if (r == 0) {
		await_job(&f);
		become_supervisor(launch, &f);
	}
	/* Init takes with it whatever is in its namespace. */
	if (f.init > 0) {
		kill(f.init, SIGKILL);
		while (waitpid(f.init, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (f.job > 0)
		while (waitpid(f.job, NULL, 0) < 0 && errno == EINTR)
			;
	if (f.init_sock >= 0)
		close(f.init_sock);
	close(f.sock);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return r;
}

int launch_ready(int sock, struct err *err)
{
	auto_close int fd = sock;
	const int stdio[3] = { 0, 1, 2 };
	struct launch_message m = { LAUNCH_MAGIC, LAUNCH_READY };
	ssize_t n;
	int r;

	r = send_fds(fd, &m, sizeof(m), stdio, ARRAY_SIZE(stdio), err);
	if (r < 0)
		return err_wrap(err, r, "to the supervisor");
	do {
		n = recv(fd, &m, sizeof(m), 0);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(m) || m.magic != LAUNCH_MAGIC || m.kind != LAUNCH_GO)
		return err_set(err, -EPIPE, "the supervisor is gone");
	return 0;
}
