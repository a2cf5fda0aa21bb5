/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drive.h"
#include "clocks.h"
#include "doom.h"
#include "drive_pty.h"
#include "drive_supervisor.h"
#include "drive_watch.h"
#include "older.h"
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

#include "snapshot/snapshot.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

struct drive_job {
	struct drive_place place;
	pid_t supervisor, init_pid, root_pid;
	int sock, pty_sock;
	int kept; /* a socket with watches; -1: none */
	char base[300];
	uint32_t generation; /* of what is in base */
};

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
		drive_supervise(place, argv, envp, socks[1]);
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

static unsigned int stripes;

void drive_stripe(unsigned int files)
{
	stripes = files;
}

static void (*before_publish)(void);

void drive_before_publish(void (*hook)(void))
{
	before_publish = hook;
}

static bool slow;

void drive_quick(bool on)
{
	slow = !on;
}

static bool unpublished;

void drive_unpublished(bool on)
{
	unpublished = on;
}

static int may_publish(void *arg, struct err *err)
{
	(void)arg;
	if (before_publish)
		before_publish();
	return unpublished ? err_set(err, -EIO, "not to be published") : 0;
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
		.private_bytes = 1ull << 30,
		.phase = worker_phase,
		.may_publish = may_publish,
		.compression = compression,
		/* Any: the look at the running tree is the other way. */
		.quick_kb = slow ? UINT64_MAX : 1,
		.stripes = stripes,
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

static uint64_t dropped_caps;
static bool no_new_privs;

void drive_launcher(uint64_t dropped, bool no_more)
{
	dropped_caps = dropped;
	no_new_privs = no_more;
}

static void run_restart(struct worker *w, const struct user_id *owner)
{
	struct watches watches = { 0 };
	ManifestRecord *manifest = NULL;
	struct restart_args args = {
		.job_id = "local-1",
		.generation = w->job->generation,
		.watches = &watches,
		.watch = drive_watch_mode(),
		.dir_fd = w->dir_fd,
		.owner = owner,
		.init_pid = w->job->init_pid,
		.stdio = { -1, -1, -1 },
		.dropped_caps = dropped_caps,
		.no_new_privs = no_new_privs,
		.set_time = worker_set_time,
		.spawn = worker_spawn,
		.ready = worker_ready,
		.phase = worker_phase,
		.arg = w,
	};

	w->out->result =
		snapshot_manifest(w->dir_fd, owner, &manifest, &w->out->err);
	args.manifest = manifest;
	if (w->out->result == 0)
		w->out->result =
			restart_run(&args, &w->out->restart, &w->out->err);
	if (manifest)
		manifest_record__free_unpacked(manifest, NULL);
	drive_watch_give(w->keep, &watches);
}

static bool older, without_bpf;

void drive_older(bool on, bool blind)
{
	older = on;
	without_bpf = blind;
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
	if (older)
		older_kernel();
	if (without_bpf)
		kernel_without_bpf();
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
