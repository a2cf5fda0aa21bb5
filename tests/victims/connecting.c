// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls of connect() that have not returned yet while their connections are
 * there: they succeed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

enum kind {
	PLAIN,
	TIMED, /* by SO_SNDTIMEO: a stop may end it with EINTR */
	KINDS,
};

struct attempt {
	enum kind kind;
	int listener, fd, other;
	struct sockaddr_in at;
	pid_t child;
};

static uint8_t state_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	victim_need(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0,
		    "TCP_INFO");
	return info.tcpi_state;
}

static int connect_to(int fd, const struct sockaddr_in *at)
{
	return connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0
		       ? 0
		       : errno;
}

static int be_client(const struct attempt *a)
{
	int e = connect_to(a->fd, &a->at);
	char c = 0;

	/* As without a checkpoint: then it goes on by itself. */
	if (a->kind == TIMED && e == EINTR) {
		e = connect_to(a->fd, &a->at);
		e = e == EISCONN ? 0 : e;
	}
	victim_check(e == 0, "connect %d: %s", a->kind, strerror(e));
	victim_check(read(a->fd, &c, 1) == 1 && c == 'x', "got '%c'", c);
	victim_check(write(a->fd, "y", 1) == 1, "write");
	e = connect_to(a->fd, &a->at);
	victim_check(e == EISCONN, "again: %s", strerror(e));
	return 0;
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	victim_need(fd >= 0, "socket");
	return fd;
}

/* One connection that nobody accepts fills the queue, another has to wait. */
static void begin(struct attempt *a, enum kind kind)
{
	const struct timeval minute = { .tv_sec = 60 };
	socklen_t len = sizeof(a->at);
	int filler = new_socket(), accepted;

	a->kind = kind;
	a->listener = new_socket();
	a->fd = new_socket();
	a->at.sin_family = AF_INET;
	a->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	victim_need(bind(a->listener, (struct sockaddr *)&a->at, len) == 0 &&
			    listen(a->listener, 0) == 0 &&
			    getsockname(a->listener, (struct sockaddr *)&a->at,
					&len) == 0 &&
			    connect_to(filler, &a->at) == 0,
		    "listen");
	if (kind == TIMED)
		victim_need(setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &minute,
				       sizeof(minute)) == 0,
			    "SO_SNDTIMEO");
	a->child = fork();
	victim_need(a->child >= 0, "fork");
	if (a->child == 0) {
		close(filler);
		close(a->listener);
		_exit(be_client(a));
	}
	victim_need(victim_until(state_of(a->fd) == TCP_SYN_SENT), "SYN");
	victim_need(kill(a->child, SIGSTOP) == 0, "SIGSTOP");
	victim_need(waitpid(a->child, NULL, WUNTRACED) == a->child, "stop");
	accepted = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
	victim_need(accepted >= 0, "accept");
	close(accepted);
	close(filler);
}

/* The kernel of the client tries again after a second. */
static void let_through(struct attempt *a)
{
	victim_need(victim_until(state_of(a->fd) == TCP_ESTABLISHED), "ACK");
	a->other = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
	victim_need(a->other >= 0, "accept");
	close(a->listener);
}

static void end(const struct attempt *a)
{
	int status = -1;
	char c = 0;

	victim_need(kill(a->child, SIGCONT) == 0, "SIGCONT");
	victim_check(write(a->other, "x", 1) == 1, "write");
	victim_check(read(a->other, &c, 1) == 1 && c == 'y', "answer");
	victim_need(waitpid(a->child, &status, 0) == a->child, "wait");
	victim_check(status == 0, "status %#x", status);
}

int main(void)
{
	struct attempt attempts[KINDS] = { 0 };

	for (int i = 0; i < KINDS; i++)
		begin(&attempts[i], (enum kind)i);
	for (int i = 0; i < KINDS; i++)
		let_through(&attempts[i]);
	victim_wait();
	for (int i = 0; i < KINDS; i++)
		end(&attempts[i]);
	victim_verdict(true, "who was in connect() is connected");
}
