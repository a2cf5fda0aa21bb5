/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/hint.h"
#include "daemon/mend.h"
#include "daemon/metrics.h"
#include "daemon/plan.h"
#include "daemon/requeued.h"
#include "daemon/tidy.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/ask.h"
#include "wire/notify.h"

/*
 * Children at a time: in all, for users in all, for one user of this node; of
 * those of others see callers.c.
 */
#define CHILDREN_MAX 1024
#define USERS_MAX    768
#define USER_MAX     64

/* After a checkpoint that failed the job is left in peace for a while. */
#define RETRY_AFTER (10 * NSEC_PER_SEC)
#define FAILED_MAX  64

#define FENCE_PASS NSEC_PER_SEC
#define LATER_PASS (2 * NSEC_PER_SEC)
/* A directory that is not there is not complained of all the time. */
#define METRICS_PAUSE (600 * NSEC_PER_SEC)
/* A node that cannot ask leaves it to the others for a while. */
#define REQUEUED_PAUSE (60 * NSEC_PER_SEC)
/* Who looks at FastDir is there all the time. */
#define FLUSH_S 1

/* From CHILD_WATCH on: one at a time, and nothing is lost without it. */
enum child_kind {
	CHILD_LOCAL = 1,
	CHILD_REMOTE,
	CHILD_SLURM,
	CHILD_TURN,
	CHILD_WATCH,
	CHILD_METRICS,
	CHILD_SWEEP,
	CHILD_PLAN,
	CHILD_FENCE,
	CHILD_REQUEUED,
	CHILD_FLUSH,
	CHILD_LATER,
};

struct child {
	pid_t pid; /* 0: free */
	enum child_kind kind;
	uid_t uid;
	char job_id[JOB_ID_MAX]; /* CHILD_SLURM */
};

struct failed {
	char job_id[JOB_ID_MAX];
	uint64_t until;
};

struct server {
	const struct conf *conf;
	int signal_fd, local_fd, remote_fd, notify_fd, ask_fd;
	struct child children[CHILDREN_MAX];
	struct callers *callers;          /* of CHILD_REMOTE */
	struct sockaddr_storage from;     /* of the next of them */
	size_t own;                       /* in a child: which of them it is */
	struct failed failed[FAILED_MAX]; /* a ring */
	unsigned int nfailed;
	uint64_t next_watch, next_plan, next_later, next_metrics;
	uint64_t next_sweep, next_fence;
	uint64_t next_requeued, next_flush;
	uint64_t next_warning; /* rate of "too many" in the log */
	bool mend;             /* a child was killed: see mend.h */
	pid_t pid;             /* of the loop */
	sigset_t old_mask;
};

/* The run directory is there before the sockets in it. */
static int listen_hints(struct server *s, struct err *err)
{
	int r;

	if (mkdir(s->conf->run_dir, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "%s", s->conf->run_dir);
	r = notify_listen(s->conf->run_dir, &s->notify_fd, err);
	return r < 0 ? r : ask_listen(s->conf->run_dir, &s->ask_fd, err);
}

/* Not the node's own: what has to be done for jobs finds room beside them. */
static bool is_users(enum child_kind kind, uid_t uid)
{
	return kind == CHILD_REMOTE || (kind == CHILD_LOCAL && uid);
}

static struct child *find_room(struct server *s, enum child_kind kind,
			       uid_t uid)
{
	struct child *room = NULL;
	unsigned int same = 0, users = 0, i;

	for (i = 0; i < CHILDREN_MAX; i++) {
		struct child *c = &s->children[i];

		users += c->pid && is_users(c->kind, c->uid);
		if (!c->pid)
			room = c;
		else if (c->kind == kind && c->uid == uid)
			same++;
	}
	if ((is_users(kind, uid) && users >= USERS_MAX) ||
	    (kind == CHILD_LOCAL && uid && same >= USER_MAX) ||
	    (kind >= CHILD_WATCH && same))
		return NULL;
	return room;
}

/*
 * 1 in the child, 0 in the loop (also when there is no room).  The child has
 * nothing of the loop's but the connection it was made for.
 */
static int fork_child(struct server *s, enum child_kind kind, uid_t uid,
		      const char *job_id)
{
	struct child *c = find_room(s, kind, uid);
	uint64_t now = clock_monotonic_ns();
	pid_t pid;

	if (c) {
		s->own = (size_t)(c - s->children);
		if (kind == CHILD_REMOTE)
			callers_begin(s->callers, s->own, &s->from);
		pid = fork();
		if (pid == 0) {
			close(s->signal_fd);
			close(s->local_fd);
			close(s->notify_fd);
			close(s->ask_fd);
			if (s->remote_fd >= 0)
				close(s->remote_fd);
			sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
			setsid();
			return 1;
		}
		if (pid > 0) {
			*c = (struct child){ .pid = pid,
					     .kind = kind,
					     .uid = uid };
			if (job_id)
				strcpy(c->job_id, job_id);
			return 0;
		}
		callers_end(s->callers, s->own);
	}
	if (kind < CHILD_WATCH && now >= s->next_warning) {
		log_warning(NULL,
			    "too many requests at a time of uid %u: one "
			    "was turned away",
			    uid);
		s->next_warning = now + 10 * NSEC_PER_SEC;
	}
	return 0;
}

static void child_ended(struct server *s, struct child *c, int status)
{
	c->pid = 0;
	callers_end(s->callers, (size_t)(c - s->children));
	if (c->kind == CHILD_METRICS && status != 0)
		s->next_metrics = clock_monotonic_ns() + METRICS_PAUSE;
	if (c->kind == CHILD_REQUEUED && status != 0)
		s->next_requeued = clock_monotonic_ns() + REQUEUED_PAUSE;
	if (c->kind == CHILD_SLURM && WIFSIGNALED(status))
		s->mend = true;
	if (c->kind == CHILD_SLURM && *c->job_id && status != 0) {
		struct failed *f = &s->failed[s->nfailed++ % FAILED_MAX];

		strcpy(f->job_id, c->job_id);
		f->until = clock_monotonic_ns() + RETRY_AFTER;
	}
}

static void reap(struct server *s)
{
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < CHILDREN_MAX; i++)
			if (s->children[i].pid == pid)
				child_ended(s, &s->children[i], status);
}

static bool failed_lately(const struct server *s, const char *job_id)
{
	uint64_t now = clock_monotonic_ns();
	unsigned int i;

	for (i = 0; i < FAILED_MAX; i++)
		if (s->failed[i].until > now &&
		    !strcmp(s->failed[i].job_id, job_id))
			return true;
	return false;
}

/* Another run of the job is another chance. */
static void forget_failed(struct server *s, const char *job_id)
{
	unsigned int i;

	for (i = 0; i < FAILED_MAX; i++)
		if (!strcmp(s->failed[i].job_id, job_id))
			s->failed[i].until = 0;
}

static void accept_local(struct server *s)
{
	auto_close int fd = accept4(s->local_fd, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return;
	if (fork_child(s, CHILD_LOCAL, peer.uid, NULL))
		_exit(serve_local(s->conf, fd));
}

static void accept_remote(struct server *s)
{
	socklen_t len = sizeof(s->from);
	auto_close int fd = accept4(s->remote_fd, (struct sockaddr *)&s->from,
				    &len, SOCK_CLOEXEC);
	ssize_t gone;

	if (fd < 0)
		return;
	gone = callers_crowd(s->callers, &s->from);
	if (gone >= 0 && s->children[gone].pid)
		kill(s->children[gone].pid, SIGKILL);
	if (fork_child(s, CHILD_REMOTE, 0, NULL))
		_exit(serve_remote(s->conf, fd, s->callers, s->own));
}

static void accept_ask(struct server *s)
{
	struct ask_question question;
	struct err unused;
	int fd;

	if (ask_accept(s->ask_fd, &question, &fd, &unused) < 0)
		return;
	if (fork_child(s, CHILD_SLURM, 0, NULL))
		_exit(serve_ask(s->conf, &question, fd));
	close(fd);
}

static void take_hint(struct server *s)
{
	struct notify n;
	struct err unused;

	while (notify_receive(s->notify_fd, &n, &unused) == 0) {
		if (n.event == NOTIFY_ENDED || n.event == NOTIFY_RESTORE)
			forget_failed(s, n.job_id);
		if (n.event == NOTIFY_PREEMPT && failed_lately(s, n.job_id))
			continue;
		if (!fork_child(s,
				n.event == NOTIFY_TURN ? CHILD_TURN
						       : CHILD_SLURM,
				0, n.job_id))
			continue;
		_exit(hint_follow(s->conf, &n));
	}
}

/*
 * Time for another child that does something each so many seconds: 1 in that
 * child.  *timeout, in milliseconds, is made no longer than until the next.
 */
static int is_due(struct server *s, enum child_kind kind, uint64_t every_s,
		  uint64_t *next, int *timeout)
{
	uint64_t now = clock_monotonic_ns();
	int left;

	if (now >= *next) {
		*next = now + every_s * NSEC_PER_SEC;
		if (fork_child(s, kind, 0, NULL))
			return 1;
	}
	left = (int)((*next - now) / 1000000 + 1);
	if (*timeout < 0 || left < *timeout)
		*timeout = left;
	return 0;
}

static void others_due(struct server *s, int *timeout)
{
	const struct conf *conf = s->conf;

	if (conf->metrics_file &&
	    is_due(s, CHILD_METRICS, conf->metrics_interval_s, &s->next_metrics,
		   timeout))
		_exit(metrics_write(conf));
	if (conf->sweep_interval_s &&
	    is_due(s, CHILD_SWEEP, conf->sweep_interval_s, &s->next_sweep,
		   timeout))
		_exit(tidy_sweep(conf));
	if (conf->requeued_s && is_due(s, CHILD_REQUEUED, conf->requeued_s,
				       &s->next_requeued, timeout))
		_exit(requeued_pass(conf));
	if (conf->fast_dir &&
	    is_due(s, CHILD_FLUSH, FLUSH_S, &s->next_flush, timeout))
		_exit(flush_all(conf, s->pid));
}

static int watch_due(struct server *s)
{
	uint64_t now = clock_monotonic_ns();

	if (!s->conf->interval_s)
		return -1;
	if (now >= s->next_watch) {
		s->next_watch = now + s->conf->interval_s * NSEC_PER_SEC;
		if (watch_needed(s->conf) &&
		    fork_child(s, CHILD_WATCH, 0, NULL))
			_exit(watch_slurm(s->conf));
	}
	return (int)((s->next_watch - now) / 1000000 + 1);
}

/* What the jobs' plans say: see plan.h. */
static int plan_next(struct server *s)
{
	uint64_t now = clock_monotonic_ns();

	if (now >= s->next_plan) {
		s->next_plan = now + NSEC_PER_SEC;
		if (plan_needed(s->conf) && fork_child(s, CHILD_PLAN, 0, NULL))
			_exit(plan_pass(s->conf));
	}
	return (int)((s->next_plan - now) / 1000000 + 1);
}

static int later_next(struct server *s)
{
	uint64_t now = clock_monotonic_ns();

	if (now >= s->next_later) {
		s->next_later = now + LATER_PASS;
		if (later_needed(s->conf) &&
		    fork_child(s, CHILD_LATER, 0, NULL))
			_exit(later_pass(s->conf));
	}
	return (int)((s->next_later - now) / 1000000 + 1);
}

/* Who renews a job's lease outlives jobcrd, and is missed when killed. */
static int fence_due(struct server *s)
{
	uint64_t now = clock_monotonic_ns();

	if (now >= s->next_fence) {
		s->next_fence = now + FENCE_PASS;
		if (watch_needed(s->conf) &&
		    fork_child(s, CHILD_FENCE, 0, NULL))
			_exit(fence_pass(s->conf));
	}
	return (int)((s->next_fence - now) / 1000000 + 1);
}

/* 1: told to end. */
static int read_signals(struct server *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			reap(s);
		else
			return 1;
	}
	return 0;
}

static void loop(struct server *s)
{
	struct pollfd fds[5] = {
		{ s->signal_fd, POLLIN, 0 }, { s->local_fd, POLLIN, 0 },
		{ s->notify_fd, POLLIN, 0 }, { s->ask_fd, POLLIN, 0 },
		{ s->remote_fd, POLLIN, 0 },
	};

	for (;;) {
		int timeout = watch_due(s), other = plan_next(s);
		int fence = fence_due(s), later = later_next(s);

		if (fence < other)
			other = fence;
		if (later < other)
			other = later;

		if (s->mend) {
			s->mend = false;
			if (fork_child(s, CHILD_SLURM, 0, NULL))
				_exit(mend_jobs(s->conf));
		}

		if (timeout < 0 || timeout > other)
			timeout = other;
		others_due(s, &timeout);
		if (poll(fds, 5, timeout) <= 0)
			continue;
		if (fds[0].revents && read_signals(s))
			return;
		if (fds[1].revents)
			accept_local(s);
		if (fds[2].revents)
			take_hint(s);
		if (fds[3].revents)
			accept_ask(s);
		if (fds[4].revents)
			accept_remote(s);
	}
}

static int block_signals(struct server *s, struct err *err)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, &s->old_mask);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? err_sys(err, "signalfd") : 0;
}

static void remove_sockets(const struct server *s)
{
	static const char *const names[] = { "jobcrd.sock", "notify", "ask" };
	char path[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->conf->run_dir,
			 names[i]);
		(void)unlink(path);
	}
}

/*
 * Type=notify: the sockets are there.  What is started from here is not the
 * service.
 */
static void tell_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = path ? strlen(path) : 0;

	if (len > 1 && len < sizeof(at.sun_path)) {
		memcpy(at.sun_path, path, len);
		if (*path == '@')
			at.sun_path[0] = '\0';
		(void)!sendto(
			fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&at,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    len));
	}
	unsetenv("NOTIFY_SOCKET");
}

int server_run(const struct conf *conf, struct err *err)
{
	struct server s = { .conf = conf, .mend = true, .pid = getpid() };
	int r;

	r = callers_new(CHILDREN_MAX, &s.callers, err);
	if (r == 0)
		r = block_signals(&s, err);
	if (r == 0)
		r = listen_remote(conf, &s.remote_fd, err);
	if (r == 0)
		r = listen_hints(&s, err);
	if (r == 0)
		r = listen_local(conf, &s.local_fd, err);
	if (r < 0)
		return r;
	log_info(NULL, "node %s, store %s, port %u: ready", conf->node,
		 conf->store_dir, conf->port);
	tell_ready();
	loop(&s);
	remove_sockets(&s);
	log_info(NULL, "ends; jobs and operations under way go on");
	return 0;
}
