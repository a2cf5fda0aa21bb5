/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drive.h"
#include "clocks.h"
#include "doom.h"
#include "drive_pty.h"
#include "drive_watch.h"
#include "outcome.h"

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
#include "util/clock.h"
#include "util/devpts.h"
#include "util/io.h"

#define MAX_SPAWNED 256

struct drive_job {
	struct drive_place place;
	pid_t supervisor, init_pid, root_pid;
	int sock, pty_sock;
	int kept; /* a socket with watches; -1: none */
	char base[300];
	uint32_t generation; /* of what is in base */
};

enum op { OP_START, OP_SET_TIME, OP_SPAWN, OP_RUNNING, OP_STATUS };

struct request {
	enum op op;
	int64_t a, b;
};

struct reply {
	int64_t value; /* or a negative errno */
	int status;
	bool ended;
};

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

static void supervisor_main(struct supervisor *s)
{
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

static int ask(int sock, enum op op, int64_t a, int64_t b, struct reply *ret,
	       struct err *err)
{
	struct request req = { .op = op, .a = a, .b = b };

	if (send(sock, &req, sizeof(req), MSG_NOSIGNAL) < 0)
		return err_sys(err, "supervisor: send");
	if (recv(sock, ret, sizeof(*ret), 0) != sizeof(*ret))
		return err_set(err, -EPIPE, "supervisor: gone");
	if (ret->value < 0)
		return err_num(err, (int)ret->value, "supervisor: request %d",
			       op);
	return 0;
}

static int job_new(const struct drive_place *place, char *const argv[],
		   char *const envp[], struct drive_job **ret, struct err *err)
{
	struct supervisor s = { .place = place, .argv = argv, .envp = envp };
	struct drive_job *job = calloc(1, sizeof(*job));
	struct reply hello;
	int socks[2];

	if (!job)
		return err_set(err, -ENOMEM, "out of memory");
	job->place = *place;
	job->kept = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0) {
		free(job);
		return err_sys(err, "socketpair");
	}
	fflush(NULL);
	job->supervisor = fork();
	if (job->supervisor == 0) {
		close(socks[0]);
		s.sock = socks[1];
		supervisor_main(&s);
	}
	close(socks[1]);
	job->sock = socks[0];
	job->pty_sock = drive_pty_start();
	if (recv(job->sock, &hello, sizeof(hello), 0) != sizeof(hello) ||
	    hello.value < 0) {
		drive_end(job);
		return err_set(err, -ECHILD, "supervisor: cannot start: %s",
			       strerror((int)-hello.value));
	}
	job->init_pid = (pid_t)hello.value;
	*ret = job;
	return 0;
}

int drive_start(const struct drive_place *place, char *const argv[],
		char *const envp[], struct drive_job **ret, struct err *err)
{
	struct drive_job *job;
	struct reply rep;
	int r;

	r = job_new(place, argv, envp, &job, err);
	if (r < 0)
		return r;
	r = ask(job->sock, OP_START, 0, 0, &rep, err);
	if (r < 0) {
		drive_end(job);
		return r;
	}
	job->root_pid = (pid_t)rep.value;
	*ret = job;
	return 0;
}

/* Shared between the test and the worker it forks. */
struct worker {
	struct drive_job *job;
	struct drive_outcome *out;
	int dir_fd;
	bool kill;
	bool asked;  /* whether to kill: no */
	bool doomed; /* the job, by others, when pages begin */
	bool shelter, outlived;
	bool checkpoint;
	int die_phase; /* -1: never */
	uint64_t die_delay;
	int reached; /* written when die_phase begins */
	int keep;    /* watches go there */
};

static void worker_phase(void *arg, enum engine_phase phase)
{
	struct worker *w = arg;

	if ((int)phase == w->die_phase && write(w->reached, "p", 1) != 1)
		_exit(1);
	if (w->doomed && phase == PHASE_PAGES && !doom(w->job->init_pid))
		_exit(1);
}

static bool worker_published(void *arg, bool gone)
{
	struct worker *w = arg;

	return w->kill && gone == (w->doomed || w->outlived);
}

static int worker_shelter(void *arg, struct err *err)
{
	const struct worker *w = arg;

	(void)err;
	outcome_shelter(w->out, w->job->root_pid, 's', 'S');
	return 0;
}

static void worker_unshelter(void *arg)
{
	const struct worker *w = arg;

	outcome_shelter(w->out, w->job->root_pid, 'u', 'U');
}

static bool worker_outlived(void *arg)
{
	return ((const struct worker *)arg)->outlived;
}

static int worker_set_time(void *arg, int64_t monotonic, int64_t boottime,
			   struct err *err)
{
	struct worker *w = arg;
	struct reply rep;

	return ask(w->job->sock, OP_SET_TIME, monotonic, boottime, &rep, err);
}

static int worker_spawn(void *arg, pid_t ns_pid, pid_t *ret, struct err *err)
{
	struct worker *w = arg;
	struct reply rep;
	int r = ask(w->job->sock, OP_SPAWN, ns_pid, 0, &rep, err);

	if (r == 0)
		*ret = (pid_t)rep.value;
	return r;
}

static int worker_ready(void *arg, pid_t root_ns_pid, struct err *err)
{
	struct worker *w = arg;
	struct reply rep;

	return ask(w->job->sock, OP_RUNNING, root_ns_pid, 0, &rep, err);
}

static int worker_copy_out(void *arg, enum copy_kind kind, int fd,
			   int *ret_file, struct err *err)
{
	const struct worker *w = arg;

	return drive_pty_ask(w->job->pty_sock, kind, fd, ret_file, err);
}

static enum pack_policy compression;

void drive_compress(enum pack_policy policy)
{
	compression = policy;
}

static void (*before_publish)(void);

void drive_before_publish(void (*hook)(void))
{
	before_publish = hook;
}

static int may_publish(void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	if (before_publish)
		before_publish();
	return 0;
}

static void run_checkpoint(struct worker *w, const struct user_id *owner)
{
	struct refusals no = { 0 };
	struct watches watches;
	int base_fd = drive_watch_take(w->job->kept, w->job->base, &watches);
	struct checkpoint_args args = {
		.job_id = "local-1",
		.node = "test",
		.cluster = "local",
		.cause = "request",
		.init_pid = w->job->init_pid,
		.root_pid = w->job->root_pid,
		.generation = w->job->generation + 1,
		.watches = &watches,
		.watch = drive_watch_mode(),
		.base_fd = base_fd,
		.job_fd = -1,
		.dir_fd = w->dir_fd,
		.owner = owner,
		.local = w->job->place.local,
		.local_bytes = 1ull << 30,
		.phase = worker_phase,
		.may_publish = may_publish,
		.compression = compression,
		.pause = w->doomed    ? ENGINE_PAUSE_PIN
			 : w->shelter ? ENGINE_PAUSE_STOP
				      : ENGINE_PAUSE_AUTO,
		.shelter = w->shelter ? worker_shelter : NULL,
		.unshelter = worker_unshelter,
		.copy_out = worker_copy_out,
		.outlived = worker_outlived,
		.published = w->kill || w->asked ? worker_published : NULL,
		.arg = w,
	};

	w->out->result =
		checkpoint_run(&args, &w->out->checkpoint, &no, &w->out->err);
	outcome_findings(w->out, &no);
	refusals_done(&no);
	drive_watch_give(w->keep, &watches);
}

static void run_restart(struct worker *w, const struct user_id *owner)
{
	struct watches watches = { 0 };
	struct restart_args args = {
		.job_id = "local-1",
		.generation = w->job->generation,
		.watches = &watches,
		.watch = drive_watch_mode(),
		.dir_fd = w->dir_fd,
		.owner = owner,
		.init_pid = w->job->init_pid,
		.stdio = { -1, -1, -1 },
		.set_time = worker_set_time,
		.spawn = worker_spawn,
		.ready = worker_ready,
		.phase = worker_phase,
		.arg = w,
	};

	w->out->result = restart_run(&args, &w->out->restart, &w->out->err);
	drive_watch_give(w->keep, &watches);
}

static void worker_main(struct worker *w, int results)
{
	struct user_id owner = {
		.uid = w->job->place.uid,
		.gid = w->job->place.gid,
	};
	struct rusage usage;
	struct err err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "worker");
	if (w->checkpoint)
		run_checkpoint(w, &owner);
	else
		run_restart(w, &owner);
	getrusage(RUSAGE_SELF, &usage);
	w->out->peak_rss_kb = (uint64_t)usage.ru_maxrss;
	if (write_all(results, w->out, sizeof(*w->out), &err) < 0)
		_exit(1);
	_exit(0);
}

static int run_worker(struct worker *w)
{
	int results[2], reached[2], keep[2];
	pid_t pid;
	int r;

	memset(w->out, 0, sizeof(*w->out));
	if (pipe2(results, O_CLOEXEC) < 0 || pipe2(reached, O_CLOEXEC) < 0)
		return err_sys(&w->out->err, "pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keep) < 0)
		return err_sys(&w->out->err, "socketpair");
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(results[0]);
		close(reached[0]);
		close(keep[0]);
		w->reached = reached[1];
		w->keep = keep[1];
		worker_main(w, results[1]);
	}
	close(results[1]);
	close(reached[1]);
	close(keep[1]);
	if (w->job->kept >= 0)
		close(w->job->kept);
	w->job->kept = keep[0];
	if (w->die_phase >= 0)
		doom_later(pid, reached[0], w->die_delay);
	r = outcome_collect(pid, results[0], w->out);
	if (r == -ECHILD && w->die_phase >= 0)
		r = -ECANCELED;
	close(results[0]);
	close(reached[0]);
	return r;
}

static int make_dir(const struct drive_job *job, const char *dir,
		    struct err *err)
{
	int fd;

	if (mkdir(dir, 0700) < 0)
		return err_sys(err, "%s", dir);
	if (chown(dir, job->place.uid, job->place.gid) < 0)
		return err_sys(err, "%s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "%s", dir) : fd;
}

static int checkpoint(struct drive_job *job, const char *dir, struct worker *w,
		      struct drive_outcome *ret)
{
	auto_close int fd = make_dir(job, dir, &ret->err);
	int r;

	w->job = job;
	w->out = ret;
	w->dir_fd = fd;
	w->checkpoint = true;
	if (fd < 0) {
		ret->result = fd;
		return fd;
	}
	r = run_worker(w);
	if (r == 0) {
		snprintf(job->base, sizeof(job->base), "%s", dir);
		job->generation++;
	}
	return r;
}

int drive_checkpoint(struct drive_job *job, const char *dir, bool kill,
		     struct drive_outcome *ret)
{
	struct worker w = { .kill = kill, .die_phase = -1 };

	return checkpoint(job, dir, &w, ret);
}

int drive_checkpoint_doomed(struct drive_job *job, const char *dir,
			    struct drive_outcome *ret)
{
	struct worker w = { .kill = true, .doomed = true, .die_phase = -1 };

	return checkpoint(job, dir, &w, ret);
}

int drive_checkpoint_sheltered(struct drive_job *job, const char *dir,
			       bool outlived, struct drive_outcome *ret)
{
	struct worker w = { .kill = true,
			    .shelter = true,
			    .outlived = outlived,
			    .die_phase = -1 };

	return checkpoint(job, dir, &w, ret);
}

int drive_checkpoint_killed(struct drive_job *job, const char *dir, bool pin,
			    enum engine_phase phase, uint64_t delay_ns,
			    struct drive_outcome *ret)
{
	struct worker w = { .asked = pin,
			    .die_phase = (int)phase,
			    .die_delay = delay_ns };

	return checkpoint(job, dir, &w, ret);
}

int drive_restore(const struct drive_place *place, const char *dir,
		  struct drive_job **ret, struct drive_outcome *outcome)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct worker w = { .out = outcome, .dir_fd = fd, .die_phase = -1 };
	struct reply rep;
	int r;

	memset(outcome, 0, sizeof(*outcome));
	if (fd < 0)
		return outcome->result = err_sys(&outcome->err, "%s", dir);
	r = job_new(place, NULL, NULL, &w.job, &outcome->err);
	if (r < 0)
		return outcome->result = r;
	w.job->generation = drive_watch_generation(fd);
	snprintf(w.job->base, sizeof(w.job->base), "%s", dir);
	r = run_worker(&w);
	if (r == 0) {
		r = ask(w.job->sock, OP_RUNNING, outcome->restart.root_ns_pid,
			0, &rep, &outcome->err);
		w.job->root_pid = (pid_t)rep.value;
	}
	if (r < 0) {
		drive_end(w.job);
		return outcome->result = r;
	}
	*ret = w.job;
	return 0;
}

int drive_restore_killed(const struct drive_place *place, const char *dir,
			 enum engine_phase phase, uint64_t delay_ns,
			 size_t *ret_left, struct drive_outcome *outcome)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct worker w = { .out = outcome,
			    .dir_fd = fd,
			    .die_phase = (int)phase,
			    .die_delay = delay_ns };
	struct timespec nap = { .tv_nsec = 10000000 };
	int r;

	memset(outcome, 0, sizeof(*outcome));
	if (fd < 0)
		return err_sys(&outcome->err, "%s", dir);
	r = job_new(place, NULL, NULL, &w.job, &outcome->err);
	if (r < 0)
		return r;
	r = run_worker(&w);
	for (int i = 0; i < 200 && r < 0; i++) {
		*ret_left = doom_count(w.job->init_pid);
		if (*ret_left == 0)
			break;
		nanosleep(&nap, NULL);
	}
	drive_end(w.job);
	return r;
}

pid_t drive_root_pid(const struct drive_job *job)
{
	return job->root_pid;
}

pid_t drive_init_pid(const struct drive_job *job)
{
	return job->init_pid;
}

int drive_wait(struct drive_job *job, uint64_t timeout_ns, int *ret_status,
	       struct err *err)
{
	uint64_t deadline = clock_monotonic_ns() + timeout_ns;
	struct timespec nap = { .tv_nsec = 5000000 };
	struct reply rep;
	int r;

	for (;;) {
		r = ask(job->sock, OP_STATUS, 0, 0, &rep, err);
		if (r < 0)
			return r;
		if (rep.ended) {
			*ret_status = rep.status;
			return 0;
		}
		if (clock_monotonic_ns() > deadline)
			return err_set(err, -ETIMEDOUT, "job: still running");
		nanosleep(&nap, NULL);
	}
}

void drive_end(struct drive_job *job)
{
	int status;

	if (!job)
		return;
	/* The death of pid 1 ends its whole namespace. */
	if (job->init_pid > 0)
		kill(job->init_pid, SIGKILL);
	close(job->sock);
	close(job->pty_sock);
	if (job->kept >= 0)
		close(job->kept);
	if (job->supervisor > 0) {
		kill(job->supervisor, SIGKILL);
		waitpid(job->supervisor, &status, 0);
	}
	free(job);
}
