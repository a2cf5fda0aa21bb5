/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/writers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/slots.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define ASK_MS 1000
/* Nodes that wait for the same slot do not look at the same moments. */
#define LOOK_MS 200
#define LOOKS   8

/* What the keeper says when it has a slot, or never will. */
struct answer {
	int result;
	char text[ERR_TEXT_SIZE];
};

/* true: whom it was kept for has gone. */
static bool gone(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

static void hold(struct slots *slots, struct slot *slot, int fd)
{
	struct err unused;
	bool mine = true;

	while (!gone(fd, SLOTS_BEAT / 1000000))
		if (mine && slots_beat(slots, slot, &unused) == -ESTALE)
			mine = false;
	slots_release(slots, slot);
}

static int take(struct slots *slots, const char *holder, int fd,
		struct slot *ret, struct err *err)
{
	int r;

	for (;;) {
		r = slots_take(slots, clock_monotonic_ns(), holder, ret, err);
		if (r != -EAGAIN)
			return r;
		if (gone(fd, LOOK_MS * (1 + getpid() % LOOKS) / 2))
			return -ECANCELED;
	}
}

static void keep(const struct conf *conf, const char *job_id, int fd)
	__attribute__((noreturn));
static void keep(const struct conf *conf, const char *job_id, int fd)
{
	struct answer answer = { 0 };
	struct err err = { 0 };
	struct slots *slots = NULL;
	struct slot slot;
	char holder[64];

	snprintf(holder, sizeof(holder), "%.30s job %.20s", conf->node, job_id);
	answer.result = slots_open(conf->store_dir, conf->cluster,
				   conf->max_writers, &slots, &err);
	if (answer.result == 0)
		answer.result = take(slots, holder, fd, &slot, &err);
	memcpy(answer.text, err.text, sizeof(answer.text));
	(void)send(fd, &answer, sizeof(answer), MSG_NOSIGNAL);
	if (answer.result == 0)
		hold(slots, &slot, fd);
	_exit(0);
}

/* Not our child in the end: nobody has to wait for it. */
static int start_keeper(const struct conf *conf, const char *job_id,
			int *ret_fd, struct err *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	pid = fork();
	if (pid == 0) {
		if (fork() != 0)
			_exit(0);
		setsid();
		if (dup2(pair[1], 3) < 0)
			_exit(1);
		syscall(SYS_close_range, 4, ~0u, 0);
		keep(conf, job_id, 3);
	}
	close(pair[1]);
	*ret_fd = pair[0];
	if (pid < 0)
		return err_sys(err, "fork");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int writers_enter(const struct conf *conf, const char *job_id,
		  bool (*still)(void *arg), void *arg, int *ret_fd,
		  struct err *err)
{
	auto_close int fd = -EBADF;
	struct answer answer;
	int r;

	*ret_fd = -1;
	if (!conf->max_writers)
		return 0;
	r = start_keeper(conf, job_id, &fd, err);
	if (r < 0)
		return r;
	while (!gone(fd, ASK_MS))
		if (!still(arg))
			return err_set(err, -ECANCELED, "not wanted any more");
	if (recv(fd, &answer, sizeof(answer), 0) != sizeof(answer))
		return err_set(err, -EIO,
			       "the keeper of a writer's slot ended");
	if (answer.result < 0)
		return err_set(err, answer.result, "%.*s", ERR_TEXT_SIZE - 1,
			       answer.text);
	*ret_fd = take_fd(&fd);
	return 0;
}
