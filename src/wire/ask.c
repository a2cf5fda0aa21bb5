/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/ask.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "util/cleanup.h"
#include "wire/address.h"

/* How long jobcrd waits for a question: it comes right after the connect. */
#define QUESTION_MS 200

static int set_timeout(int fd, int timeout_ms, struct err *err)
{
	const struct timeval t = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return err_sys(err, "timeout");
	return 0;
}

static int receive(int fd, struct ask_answer *ret, struct err *err)
{
	struct ask_answer a;
	ssize_t n;

	/* Each word that it still waits begins the time anew. */
	do {
		n = recv(fd, &a, sizeof(a), 0);
	} while (n == sizeof(a) && a.magic == ASK_MAGIC &&
		 a.result == -EINPROGRESS);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return err_set(err, -ETIMEDOUT, "no answer in time");
	if (n < 0)
		return err_sys(err, "answer");
	if (n != sizeof(a) || a.magic != ASK_MAGIC)
		return err_set(err, -EBADMSG, "no answer of ours");
	a.text[sizeof(a.text) - 1] = '\0';
	*ret = a;
	return 0;
}

int ask_snapshot(const char *run_dir, const char *job_id, uid_t uid, gid_t gid,
		 int timeout_ms, uint32_t *ret_generation, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ask_question q = { .magic = ASK_MAGIC, .uid = uid, .gid = gid };
	struct sockaddr_un to;
	struct ask_answer a;
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = address_make(run_dir, "ask", &to, err);
	if (r < 0)
		return r;
	if (strlen(job_id) >= sizeof(q.job_id))
		return err_num(err, EINVAL, "job id %s", job_id);
	strcpy(q.job_id, job_id);
	r = set_timeout(fd, timeout_ms, err);
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    send(fd, &q, sizeof(q), MSG_NOSIGNAL) < 0)
		return err_sys(err, "%s", to.sun_path);
	r = receive(fd, &a, err);
	if (r < 0)
		return err_wrap(err, r, "%s", to.sun_path);
	if (a.result < 0)
		return err_set(err, a.result, "jobcrd: %s", a.text);
	*ret_generation = a.generation;
	return 0;
}

int ask_listen(const char *run_dir, int *ret_fd, struct err *err)
{
	return address_listen(run_dir, "ask", 0177, 64, ret_fd, err);
}

int ask_accept(int listen_fd, struct ask_question *ret, int *ret_fd,
	       struct err *err)
{
	auto_close int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct ask_question q;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r;

	if (fd < 0)
		return err_sys(err, "ask: accept");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != 0)
		return err_set(err, -EAGAIN, "ask: not root");
	r = set_timeout(fd, QUESTION_MS, err);
	if (r < 0)
		return r;
	if (recv(fd, &q, sizeof(q), 0) != sizeof(q) || q.magic != ASK_MAGIC)
		return err_set(err, -EAGAIN, "ask: not one of ours");
	q.job_id[sizeof(q.job_id) - 1] = '\0';
	*ret = q;
	*ret_fd = take_fd(&fd);
	return 0;
}

void ask_waits(int fd)
{
	const struct ask_answer a = { .magic = ASK_MAGIC,
				      .result = -EINPROGRESS };

	(void)send(fd, &a, sizeof(a), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ask_reply(int fd, int result, uint32_t generation, const char *text)
{
	auto_close int conn = fd;
	struct ask_answer a = { .magic = ASK_MAGIC,
				.result = result,
				.generation = generation };

	snprintf(a.text, sizeof(a.text), "%s", text ? text : "");
	/* Nobody waits any more: the launch decided without us. */
	(void)send(conn, &a, sizeof(a), MSG_NOSIGNAL | MSG_DONTWAIT);
}
