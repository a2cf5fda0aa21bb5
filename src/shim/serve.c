/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/supervisor.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/copy_out.h"

/* A killed tree of many processes takes a moment to die. */
#define LEAVE_WAIT (10 * NSEC_PER_SEC)

int serve_listen(struct supervisor *s, struct err *err)
{
	auto_close int fd = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t old;
	int n, r;

	if (fd < 0)
		return err_sys(err, "socket");
	n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/jobs/%s/control",
		     s->opt->run_dir, s->opt->job_id);
	if (n < 0 || (size_t)n >= sizeof(at.sun_path))
		return err_num(err, ENAMETOOLONG, "%s", s->opt->run_dir);
	if (unlinkat(s->dir_fd, "control", 0) < 0 && errno != ENOENT)
		return err_sys(err, "%s: unlink", at.sun_path);
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&at, sizeof(at));
	umask(old);
	if (r < 0 || listen(fd, CLIENTS_MAX) < 0)
		return err_sys(err, "%s", at.sun_path);
	s->listen_fd = take_fd(&fd);
	return 0;
}

void serve_accept(struct supervisor *s)
{
	auto_close int fd =
		accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int i;

	if (fd < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    cred.uid != 0)
		return;
	for (i = 0; i < CLIENTS_MAX; i++) {
		if (s->clients[i].fd >= 0)
			continue;
		memset(&s->clients[i], 0, sizeof(s->clients[i]));
		s->clients[i].fd = take_fd(&fd);
		s->clients[i].pid = cred.pid;
		s->idle_since = 0;
		return;
	}
}

bool serve_busy(const struct supervisor *s)
{
	int i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && !s->clients[i].waits)
			return true;
	return false;
}

bool serve_guarded(const struct supervisor *s)
{
	int i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].guards)
			return true;
	return false;
}

/* Without a holder what was held back goes on to the job. */
static void release(struct supervisor *s, struct client *c)
{
	if (c->holds)
		s->holders--;
	c->holds = false;
	s->hold_until = 0;
	forward_held(s);
}

/* What was done for a connection is undone with it: workers get killed. */
static void client_drop(struct supervisor *s, struct client *c)
{
	close(c->fd);
	c->fd = -1;
	if (c->shelters)
		shelter_leave(s);
	if (c->spawned && s->helper)
		kill(s->helper, SIGKILL);
	if (c->spawned && s->built) {
		kill(s->built, SIGKILL);
		s->info.state = CONTROL_RESTORING;
	}
	if (c->left && s->info.state == CONTROL_LEFT && !s->over)
		s->left_until = clock_monotonic_ns() + LEAVE_WAIT;
	if (c->holds)
		release(s, c);
}

static int fail(struct control_reply *reply, int code, const char *text)
{
	snprintf(reply->text, sizeof(reply->text), "%.*s",
		 (int)sizeof(reply->text) - 1, text);
	return code;
}

/* Without namespaces nothing can be built, and nothing may be. */
static int check_spaces(const struct supervisor *s, struct control_reply *reply)
{
	return s->have_spaces
		       ? 0
		       : fail(reply, s->no_spaces.code, s->no_spaces.text);
}

static int do_set_time(struct supervisor *s, const struct control_request *req,
		       struct control_reply *reply)
{
	struct err err = { 0 };
	int r;

	if (s->info.state != CONTROL_RESTORING || s->built)
		return fail(reply, -EBUSY, "not at the begin of a restore");
	if (check_spaces(s, reply) < 0)
		return s->no_spaces.code;
	r = spaces_set_time(req->a, req->b, &err);
	return r < 0 ? fail(reply, r, err.text) : 0;
}

static int do_spawn(struct supervisor *s, struct client *c,
		    const struct control_request *req,
		    struct control_reply *reply)
{
	struct err err = { 0 };
	pid_t pid;
	int r;

	if (s->info.state != CONTROL_RESTORING || (s->built && !c->spawned))
		return fail(reply, -EBUSY, "not at the begin of a restore");
	if (check_spaces(s, reply) < 0)
		return s->no_spaces.code;
	if (req->a < 2 || req->a > 4194304)
		return fail(reply, -EINVAL, "no such pid");
	r = task_spawn_puppet(s->opt, &s->spaces, s->puppet_fd, (pid_t)req->a,
			      &pid, &err);
	if (r < 0)
		return fail(reply, r, err.text);
	reply->value = pid;
	if (c->spawned) {
		s->helper = pid;
		return 0;
	}
	s->built = pid;
	s->built_ended = false;
	s->info.root_ns_pid = (int32_t)req->a;
	c->spawned = true;
	return 0;
}

static void close_stdio(struct supervisor *s)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (s->stdio[i] >= 0)
			close(s->stdio[i]);
		s->stdio[i] = -1;
	}
}

void serve_alive(struct supervisor *s)
{
	s->info.root_pid = s->root;
	s->info.state = CONTROL_ALIVE;
	/* Of an earlier run: it is not how this one ends. */
	(void)unlinkat(s->dir_fd, "ended", 0);
}

static void tell_end(struct supervisor *s, struct client *c)
{
	struct control_reply reply = { .magic = CONTROL_MAGIC,
				       .value = s->status,
				       .info = s->info };
	struct err unused;

	if (send_fds(c->fd, &reply, sizeof(reply), NULL, 0, &unused) < 0)
		client_drop(s, c);
}

void serve_root_ended(struct supervisor *s, int status)
{
	int i;

	s->root = s->info.root_pid = 0;
	s->status = status;
	if (s->info.state != CONTROL_LEFT)
		s->info.state = CONTROL_ENDED;
	/* Slurm may have said already that it ends the job. */
	if (s->info.state != CONTROL_LEFT || (s->held & 1ull << (SIGTERM - 1)))
		s->linger = false;
	s->over = !s->linger;
	if (s->init)
		kill(s->init, SIGKILL);
	for (i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].guards)
			tell_end(s, &s->clients[i]);
}

static int do_running(struct supervisor *s, struct client *c,
		      const struct control_request *req,
		      struct control_reply *reply)
{
	if (!c->spawned || (int32_t)req->a != s->info.root_ns_pid ||
	    (!s->built && !s->built_ended))
		return fail(reply, -ESRCH, "no such process was made here");
	c->spawned = false;
	s->root = s->built;
	s->built = 0;
	serve_alive(s);
	s->info.generation = (uint32_t)req->b;
	/* By what its processes were started with, not by today's wish. */
	s->info.options.isa = (uint32_t)(req->b >> 32) & 0xff;
	s->info.options.files = (uint32_t)(req->b >> 40) & 0xff;
	/* A job of Slurm's has what it was submitted with. */
	if (!s->info.slurm)
		s->info.options.interval_s = (uint32_t)(req->a >> 32);
	s->info.options.peers = (uint32_t)(req->b >> 48) & 1;
	if (!*s->info.name)
		snprintf(s->info.name, sizeof(s->info.name), "%.127s",
			 req->text);
	/* The job has its own: a pipe's reader must see the job close it. */
	close_stdio(s);
	forward_held(s);
	/* It may have had nothing left to do. */
	if (s->built_ended)
		serve_root_ended(s, s->built_status);
	return 0;
}

int serve_make_terminal(struct supervisor *s, int like, struct err *err)
{
	int r = terminal_new(s->spaces.init_pidfd, s->spaces.init, s->opt->uid,
			     like, &s->terminal, err);

	s->info.terminal = r == 0;
	if (r == 0)
		s->terminal->awaited = s->opt->restore && s->opt->pty;
	return r;
}

static int do_attach(struct supervisor *s, const struct control_request *req,
		     int *fd, struct control_reply *reply)
{
	struct err err = { 0 };
	int r;

	if (!s->terminal)
		return fail(reply, -ENOTTY,
			    "the job has no terminal of its own: start it with "
			    "--pty");
	if (*fd < 0)
		return fail(reply, -EINVAL, "attach: nobody looks");
	r = terminal_attach(s->terminal, *fd, (int)req->a,
			    (uint16_t)(req->b >> 16), (uint16_t)req->b, &err);
	if (r < 0)
		return fail(reply, r, err.text);
	(void)take_fd(fd);
	return 0;
}

static int write_input(struct supervisor *s, int fd, struct err *err)
{
	uint8_t input[TTY_INPUT_ROOM];
	size_t len;
	int r = terminal_copy_input(s->terminal, input, &len, err);

	return r < 0 ? r : write_all(fd, input, len, err);
}

/* Output is ours: what the job has written is not in a snapshot. */
static int do_terminal(struct supervisor *s, const struct control_request *req,
		       int fds[3], struct control_reply *reply)
{
	struct err err = { 0 };
	int r = 0;

	if (!s->terminal && s->info.state == CONTROL_RESTORING)
		r = serve_make_terminal(s, -1, &err);
	else if (!s->terminal)
		return fail(reply, -ENOTTY, "the job has no terminal");
	if (r == 0) {
		fds[2] = memfd_create("jobcr-input", MFD_CLOEXEC);
		r = fds[2] < 0 ? err_sys(&err, "memfd_create") : 0;
	}
	if (r == 0 && req->a) {
		r = write_input(s, fds[2], &err);
		terminal_drain(s->terminal);
	}
	if (r < 0)
		return fail(reply, r, err.text);
	fds[0] = s->terminal->slave;
	fds[1] = s->terminal->master;
	reply->value = s->terminal->stopped;
	return 0;
}

static int do_signal(struct supervisor *s, const struct control_request *req,
		     struct control_reply *reply)
{
	if (req->a < 0 || req->a > 64)
		return fail(reply, -EINVAL, "no such signal");
	if (!s->root)
		return fail(reply, -ESRCH, "the job has no process yet");
	if (req->a && req->b)
		kill(s->root, (int)req->a);
	else if (req->a)
		forward_signal(s, (int)req->a, false);
	return 0;
}

static int do_abort(struct supervisor *s, const struct control_request *req,
		    struct control_reply *reply)
{
	if (s->info.state != CONTROL_RESTORING)
		return fail(reply, -EBUSY, "the job runs");
	s->abort_status = (int)(req->a & 255);
	s->over = true;
	if (s->init)
		kill(s->init, SIGKILL);
	return 0;
}

/* What a reply carries; closed when it is sent, if it is not ours. */
struct carried {
	const int *fds;
	size_t count;
	int own;
};

static int do_stdio(struct supervisor *s, struct control_reply *reply,
		    struct carried *fds)
{
	if (s->stdio[0] < 0)
		return fail(reply, -ENOENT, "standard files are with the job");
	fds->fds = s->stdio;
	fds->count = 3;
	return 0;
}

static int do_shelter(struct supervisor *s, struct client *c,
		      struct control_reply *reply, struct carried *fds)
{
	struct err err = { 0 };
	int r = shelter_enter(s, c->pid, &fds->own, &err);

	if (r < 0)
		return fail(reply, r, err.text);
	c->shelters = true;
	fds->fds = &fds->own;
	fds->count = 1;
	return 0;
}

static int do_return(struct supervisor *s, struct client *c)
{
	if (c->shelters)
		shelter_leave(s);
	c->shelters = false;
	return 0;
}

static int do_request(struct supervisor *s, struct client *c,
		      const struct control_request *req,
		      struct control_reply *reply, struct carried *fds)
{
	switch (req->op) {
	case CONTROL_INFO:
		return 0;
	case CONTROL_STDIO:
		return do_stdio(s, reply, fds);
	case CONTROL_SHELTER:
		return do_shelter(s, c, reply, fds);
	case CONTROL_RETURN:
		return do_return(s, c);
	case CONTROL_HOLD:
		if (!c->holds)
			s->holders++;
		c->holds = true;
		return 0;
	case CONTROL_RELEASE:
		release(s, c);
		return 0;
	case CONTROL_SET_TIME:
		return do_set_time(s, req, reply);
	case CONTROL_SPAWN:
		return do_spawn(s, c, req, reply);
	case CONTROL_RUNNING:
		return do_running(s, c, req, reply);
	case CONTROL_SIGNAL:
		return do_signal(s, req, reply);
	case CONTROL_LEAVE:
		if (!s->root)
			return fail(reply, -ESRCH, "the job does not run");
		c->left = true;
		s->info.state = CONTROL_LEFT;
		s->info.generation = (uint32_t)req->a;
		return 0;
	case CONTROL_LINGER:
		s->linger = true;
		return 0;
	case CONTROL_ABORT:
		return do_abort(s, req, reply);
	default:
		return fail(reply, -EOPNOTSUPP, "no such request");
	}
}

static void answer(struct supervisor *s, struct client *c,
		   struct control_reply *reply, const struct carried *fds)
{
	struct err unused;
	int r;

	reply->magic = CONTROL_MAGIC;
	reply->info = s->info;
	r = send_fds(c->fd, reply, sizeof(*reply), fds->fds, fds->count,
		     &unused);
	if (fds->own >= 0)
		close(fds->own);
	if (r < 0)
		client_drop(s, c);
}

/* Users may wait as often as they like: room is kept for a checkpoint. */
static bool may_wait(const struct supervisor *s)
{
	int i, waiting = 0;

	for (i = 0; i < CLIENTS_MAX; i++)
		waiting += s->clients[i].fd >= 0 && s->clients[i].waits;
	return waiting < WAITERS_MAX;
}

/* Who asks may be killed at any time: what is taken out must come back. */
static int do_copy(const struct control_request *req, int from,
		   struct control_reply *reply, int *ret_fd)
{
	const enum copy_kind kind = req->op == CONTROL_PTY     ? COPY_PTY
				    : req->op == CONTROL_QUEUE ? COPY_QUEUE
							       : COPY_EVENTFD;
	struct err err = { 0 };
	int fd = from < 0 ? -EINVAL : copy_out(kind, from, (pid_t)req->a, &err);

	if (fd < 0)
		return fail(reply, fd, err.text);
	*ret_fd = fd;
	return 0;
}

/* It is no business of ours what it is: it ends with us. */
static int do_keep(struct supervisor *s, int *fd, struct control_reply *reply,
		   struct carried *fds)
{
	if (*fd < 0 && s->kept_fd < 0)
		return fail(reply, -ENOENT, "nothing is kept");
	if (*fd < 0) {
		fds->own = take_fd(&s->kept_fd);
		fds->fds = &fds->own;
		fds->count = 1;
		return 0;
	}
	if (s->kept_fd >= 0)
		close(s->kept_fd);
	s->kept_fd = take_fd(fd);
	return 0;
}

/* What takes or gives descriptors, and all the rest. */
static void serve_request(struct supervisor *s, struct client *c,
			  const struct control_request *req, int *fd)
{
	struct control_reply reply = { 0 };
	int terminal[3] = { -1, -1, -1 };
	struct carried fds = { .own = -1 };

	switch (req->op) {
	case CONTROL_WAIT:
		reply.result = fail(&reply, -EBUSY, "too many wait for it");
		break;
	case CONTROL_ATTACH:
		reply.result = do_attach(s, req, fd, &reply);
		break;
	case CONTROL_TERMINAL:
		reply.result = do_terminal(s, req, terminal, &reply);
		fds = (struct carried){ terminal, reply.result == 0 ? 3 : 0,
					terminal[2] };
		break;
	case CONTROL_PTY:
	case CONTROL_QUEUE:
	case CONTROL_EVENTFD:
		reply.result = do_copy(req, *fd, &reply, &terminal[0]);
		fds = (struct carried){ terminal, reply.result == 0,
					terminal[0] };
		break;
	case CONTROL_KEEP:
		reply.result = do_keep(s, fd, &reply, &fds);
		break;
	default:
		reply.result = do_request(s, c, req, &reply, &fds);
	}
	answer(s, c, &reply, &fds);
}

/* A descriptor may come with it. */
static ssize_t receive(const struct client *c, struct control_request *req,
		       int *ret_fd)
{
	size_t len = 0, count = 1;
	struct err err = { 0 };
	int r = recv_fds(c->fd, req, sizeof(*req), &len, ret_fd, &count, &err);

	if (r < 0)
		*ret_fd = -EBADF;
	if (r == -EAGAIN || r == -EINTR)
		return 0;
	return r == 0 && len == sizeof(*req) && req->magic == CONTROL_MAGIC
		       ? 1
		       : -1;
}

void serve_client(struct supervisor *s, struct client *c)
{
	auto_close int fd = -EBADF;
	struct control_request req;
	ssize_t n = receive(c, &req, &fd);

	if (n < 0)
		client_drop(s, c);
	if (n <= 0)
		return;
	if (req.op == CONTROL_WAIT && may_wait(s)) {
		c->waits = true;
		return;
	}
	if (req.op == CONTROL_GUARD) {
		c->guards = true;
		if (s->over)
			tell_end(s, c);
		return;
	}
	serve_request(s, c, &req, &fd);
}

void serve_ended(struct supervisor *s)
{
	struct control_reply reply = { .value = s->status };
	const struct carried none = { .own = -1 };
	int i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].waits)
			answer(s, &s->clients[i], &reply, &none);
}
