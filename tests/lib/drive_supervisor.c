/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drive_supervisor.h"
#include "clocks.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/devpts.h"

#define MAX_SPAWNED 256

/* What the supervisor knows. */
struct supervisor {
	const struct drive_place *place;
	char *const *argv;
	char *const *envp;
	int sock, pid_ns, mnt_ns, ipc_ns, uts_ns, puppet;
	pid_t root;
	struct {
		pid_t pid, ns_pid;
	} spawned[MAX_SPAWNED];
	size_t nspawned;
	int status;
	bool ended;
};

static pid_t do_clone3(uint64_t flags, const pid_t *set_tid)
{
	struct clone_args args = {
		.flags = flags,
		.exit_signal = SIGCHLD,
		.set_tid = (uint64_t)(uintptr_t)set_tid,
		.set_tid_size = set_tid ? 1 : 0,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Pid 1 of the job: it reaps, nothing more. */
static void init_main(const struct drive_place *place, int ready)
{
	struct err err;
	sigset_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "init");
	if ((!place->host_ipc && unshare(CLONE_NEWIPC) < 0) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0 ||
	    devpts_mount(&err) < 0)
		_exit(1);
	if (place->hostname &&
	    sethostname(place->hostname, strlen(place->hostname)) < 0)
		_exit(1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	close_range(0, ~0u, 0);
	for (;;) {
		int sig;

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwait(&all, &sig);
	}
}

static int make_init(const struct drive_place *place, pid_t *ret)
{
	uint64_t flags = CLONE_NEWPID | CLONE_NEWNS;
	int ready[2];
	char c;

	if (place->hostname)
		flags |= CLONE_NEWUTS;
	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	*ret = do_clone3(flags, NULL);
	if (*ret < 0)
		return -errno;
	if (*ret == 0)
		init_main(place, ready[1]);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		return -ECHILD;
	close(ready[0]);
	return 0;
}

static int open_ns(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Programs that use this lie two folders below the top of the build tree. */
static int open_puppet(void)
{
	const char *libexec = getenv("JOBCR_LIBEXEC");
	char path[4096] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

	for (int up = 0; n > 0 && up < 3; up++)
		if (strrchr(path, '/'))
			*strrchr(path, '/') = '\0';
	if (libexec)
		snprintf(path, sizeof(path), "%s", libexec);
	strncat(path, "/jobcr-puppet", sizeof(path) - strlen(path) - 1);
	return open(path, O_PATH | O_CLOEXEC);
}

/* In a child that is about to become the job's: enter, become the user. */
static void enter(const struct supervisor *s)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setns(s->mnt_ns, CLONE_NEWNS) < 0 ||
	    setns(s->ipc_ns, CLONE_NEWIPC) < 0 ||
	    setns(s->uts_ns, CLONE_NEWUTS) < 0)
		_exit(126);
}

static void start_main(const struct supervisor *s)
{
	const struct drive_place *p = s->place;
	int null, out;

	enter(s);
	if (p->cwd && chdir(p->cwd) < 0)
		_exit(126);
	setsid();
	if (setgroups(0, NULL) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
	    setresuid(p->uid, p->uid, p->uid) < 0)
		_exit(126);
	null = open("/dev/null", O_RDWR);
	out = open(p->output ? p->output : "/dev/null",
		   O_WRONLY | O_CREAT | O_APPEND, 0666);
	/* As the batch system does it: the file is the user's. */
	if (null < 0 || out < 0 || (p->output && fchown(out, p->uid, p->gid)))
		_exit(126);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	close_range(3, ~0u, 0);
	execve(s->argv[0], s->argv, s->envp);
	_exit(127);
}

static int64_t start(struct supervisor *s)
{
	s->root = do_clone3(0, NULL);
	if (s->root == 0)
		start_main(s);
	return s->root < 0 ? -errno : s->root;
}

static int64_t spawn(struct supervisor *s, pid_t ns_pid)
{
	static char *const argv[] = { (char *)"jobcr-puppet", NULL };
	static char *const envp[] = { NULL };
	pid_t pid;

	if (s->nspawned == MAX_SPAWNED)
		return -ENOSPC;
	pid = do_clone3(0, &ns_pid);
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		enter(s);
		syscall(SYS_execveat, s->puppet, "", argv, envp, AT_EMPTY_PATH);
		_exit(127);
	}
	s->spawned[s->nspawned].pid = pid;
	s->spawned[s->nspawned++].ns_pid = ns_pid;
	return pid;
}

static int64_t running(struct supervisor *s, pid_t ns_pid)
{
	size_t i;

	for (i = 0; i < s->nspawned; i++)
		if (s->spawned[i].ns_pid == ns_pid) {
			s->root = s->spawned[i].pid;
			return s->root;
		}
	return -ESRCH;
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == s->root) {
			s->ended = true;
			s->status = status;
		}
}

static void serve(struct supervisor *s, const struct request *req)
{
	struct reply rep = { 0 };

	switch (req->op) {
	case OP_START:
		rep.value = start(s);
		break;
	case OP_SET_TIME:
		rep.value = clocks_set(req->a, req->b);
		break;
	case OP_SPAWN:
		rep.value = spawn(s, (pid_t)req->a);
		break;
	case OP_RUNNING:
		rep.value = running(s, (pid_t)req->a);
		break;
	case OP_STATUS:
		reap(s);
		rep.ended = s->ended;
		rep.status = s->status;
		break;
	}
	if (send(s->sock, &rep, sizeof(rep), MSG_NOSIGNAL) < 0)
		_exit(1);
}

void drive_supervise(const struct drive_place *place, char *const argv[],
		     char *const envp[], int sock)
{
	struct supervisor state = {
		.place = place, .argv = argv, .envp = envp, .sock = sock
	};
	struct supervisor *s = &state;
	struct reply hello = { 0 };
	struct request req;
	pid_t init = -1;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "supervisor");
	if (s->place->cpus)
		syscall(SYS_sched_setaffinity, 0, sizeof(s->place->cpus),
			&s->place->cpus);
	if (s->place->prepare)
		s->place->prepare();
	r = make_init(s->place, &init);
	hello.value = r < 0 ? r : init;
	s->pid_ns = open_ns(init, "pid");
	s->mnt_ns = open_ns(init, "mnt");
	s->ipc_ns = open_ns(init, "ipc");
	s->uts_ns = open_ns(init, "uts");
	s->puppet = open_puppet();
	if (r == 0 && (s->pid_ns < 0 || s->mnt_ns < 0 || s->ipc_ns < 0 ||
		       s->uts_ns < 0 || setns(s->pid_ns, CLONE_NEWPID) < 0))
		hello.value = -errno;
	if (r == 0 && s->argv && s->place->monotonic_ahead)
		hello.value = clocks_set(s->place->monotonic_ahead,
					 s->place->monotonic_ahead) < 0
				      ? -EINVAL
				      : init;
	if (send(s->sock, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
		_exit(1);
	for (;;) {
		struct pollfd p = { .fd = s->sock, .events = POLLIN };

		poll(&p, 1, 20);
		reap(s);
		if (p.revents == 0)
			continue;
		if (recv(s->sock, &req, sizeof(req), 0) != sizeof(req))
			_exit(0);
		serve(s, &req);
	}
}
