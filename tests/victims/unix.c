// SPDX-License-Identifier: GPL-2.0-or-later
/* Pairs of Unix sockets: what waits in them, who made them, their ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define RARE 4 /* options */

struct pairs {
	int stream[2], dgram[2], packet[2], full[2], empty[2];
	int half[2], both[2], no_reads[2], packet_half[2];
	int closed, reset, dgram_closed, packet_closed;
	int options[2], child[2], watched[2], epoll, fresh, peeked[2];
	size_t written;
	bool with_empty;
	int rare[2], rare_value[RARE];
};

static void pair(int type, int fds[2])
{
	victim_need(socketpair(AF_UNIX, type, 0, fds) == 0, "socketpair");
}

static void put(int fd, const char *text)
{
	victim_need(send(fd, text, strlen(text), MSG_NOSIGNAL) ==
			    (ssize_t)strlen(text),
		    text);
}

static void take(int fd, const char *text, const char *what)
{
	char buf[200] = "";
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	victim_check(n == (ssize_t)strlen(text) && !strcmp(buf, text),
		     "%s: \"%s\" (%zd) instead of \"%s\"", what, buf, n, text);
}

static void nothing(int fd, const char *what)
{
	char byte;

	victim_check(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN,
		     "%s: there is nothing more", what);
}

static void ended(int fd, const char *what)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	victim_check(n == 0, "%s: it has ended (%zd, %s)", what, n,
		     strerror(errno));
}

static void breaks(int fd, int error, const char *what)
{
	ssize_t n = send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);

	victim_check(n < 0 && errno == error, "%s: %zd, %s", what, n,
		     strerror(errno));
}

static int get(int fd, int name)
{
	socklen_t len = sizeof(int);
	int v = -1;

	return getsockopt(fd, SOL_SOCKET, name, &v, &len) < 0 ? -errno : v;
}

static void set(int fd, int name, int v)
{
	victim_need(setsockopt(fd, SOL_SOCKET, name, &v, sizeof(v)) == 0,
		    "setsockopt");
}

/* Until it takes no more. */
static void fill(struct pairs *p)
{
	uint8_t buf[1000];
	ssize_t n;

	pair(SOCK_STREAM | SOCK_NONBLOCK, p->full);
	set(p->full[0], SO_SNDBUF, 200000);
	for (;;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)((p->written + i) % 251);
		n = send(p->full[0], buf, sizeof(buf), 0);
		if (n < 0)
			break;
		p->written += (size_t)n;
	}
	victim_need(errno == EAGAIN && p->written > 100000, "full socket");
}

static void check_full(const struct pairs *p)
{
	uint8_t buf[777];
	size_t got = 0, wrong = 0;
	ssize_t n;

	victim_check(get(p->full[0], SO_SNDBUF) == 400000, "SO_SNDBUF %d",
		     get(p->full[0], SO_SNDBUF));
	while ((n = recv(p->full[1], buf, sizeof(buf), 0)) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			wrong += buf[i] != got % 251;
	victim_check(got == p->written && !wrong && errno == EAGAIN,
		     "%zu of %zu bytes, %zu wrong", got, p->written, wrong);
	victim_check(fcntl(p->full[0], F_GETFL) & O_NONBLOCK, "O_NONBLOCK");
}

static void set_up_queues(struct pairs *p)
{
	static char big[150000];

	pair(SOCK_STREAM, p->stream);
	put(p->stream[0], "one");
	put(p->stream[0], "two");
	put(p->stream[1], "back");
	pair(SOCK_DGRAM, p->dgram);
	put(p->dgram[0], "first");
	/* Only when asked for: a second checkpoint does not see it. */
	if (p->with_empty)
		put(p->dgram[0], "");
	put(p->dgram[0], "third, after an empty one");
	put(p->dgram[1], "back");
	memset(big, 'b', sizeof(big));
	set(p->dgram[1], SO_SNDBUF, 1000000);
	victim_need(send(p->dgram[1], big, sizeof(big), 0) == sizeof(big),
		    "big datagram");
	set(p->dgram[1], SO_SNDBUF, 5000);
	pair(SOCK_SEQPACKET, p->packet);
	put(p->packet[0], "packet one");
	put(p->packet[0], "packet two");
	put(p->packet[1], "a packet back");
	pair(SOCK_STREAM, p->empty);
	pair(SOCK_SEQPACKET, p->peeked);
	put(p->peeked[0], "abc");
	put(p->peeked[0], "defg");
	set(p->peeked[1], SO_PEEK_OFF, 3);
	fill(p);
}

static void check_queues(const struct pairs *p)
{
	static char big[200000];
	char byte;

	take(p->stream[1], "onetwo", "stream");
	nothing(p->stream[1], "stream");
	take(p->stream[0], "back", "stream, other way");
	take(p->dgram[1], "first", "datagram");
	victim_check(!p->with_empty ||
			     recv(p->dgram[1], &byte, 1, MSG_DONTWAIT) == 0,
		     "an empty datagram");
	take(p->dgram[1], "third, after an empty one", "datagram");
	nothing(p->dgram[1], "datagrams");
	take(p->dgram[0], "back", "datagram, other way");
	victim_check(recv(p->dgram[0], big, sizeof(big), MSG_DONTWAIT) ==
				     150000 &&
			     big[149999] == 'b',
		     "a big datagram");
	victim_check(get(p->dgram[1], SO_SNDBUF) == 10000, "its SO_SNDBUF: %d",
		     get(p->dgram[1], SO_SNDBUF));
	victim_check(recv(p->packet[1], &byte, 1, MSG_DONTWAIT) == 1 &&
			     byte == 'p',
		     "the start of a packet");
	take(p->packet[1], "packet two", "the packet after it");
	nothing(p->packet[1], "packets");
	take(p->packet[0], "a packet back", "packet, other way");
	nothing(p->empty[0], "empty");
	put(p->empty[1], "new");
	take(p->empty[0], "new", "it works");
	victim_check(get(p->peeked[1], SO_PEEK_OFF) == 3, "SO_PEEK_OFF: %d",
		     get(p->peeked[1], SO_PEEK_OFF));
	victim_check(recv(p->peeked[1], &byte, 1, MSG_PEEK) == 1 && byte == 'd',
		     "SO_PEEK_OFF means the same");
	take(p->peeked[1], "abc", "peeked");
	check_full(p);
}

static int closed_end(int type, const char *left, bool unread)
{
	int fds[2];

	pair(type, fds);
	if (left)
		put(fds[1], left);
	if (unread)
		put(fds[0], "never read");
	close(fds[1]);
	return fds[0];
}

static void set_up_ends(struct pairs *p)
{
	pair(SOCK_STREAM, p->half);
	put(p->half[0], "last words");
	victim_need(shutdown(p->half[0], SHUT_WR) == 0, "shutdown");
	pair(SOCK_STREAM, p->both);
	victim_need(shutdown(p->both[1], SHUT_RDWR) == 0, "shutdown");
	pair(SOCK_STREAM, p->no_reads);
	put(p->no_reads[1], "before");
	victim_need(shutdown(p->no_reads[0], SHUT_RD) == 0, "shutdown");
	pair(SOCK_SEQPACKET, p->packet_half);
	put(p->packet_half[0], "last packet");
	victim_need(shutdown(p->packet_half[0], SHUT_WR) == 0, "shutdown");
	p->closed = closed_end(SOCK_STREAM, "from the dead", false);
	p->reset = closed_end(SOCK_STREAM, "and more", true);
	p->dgram_closed = closed_end(SOCK_DGRAM, "a last datagram", true);
	p->packet_closed = closed_end(SOCK_SEQPACKET, "a last packet", false);
	p->fresh = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	victim_need(p->fresh >= 0, "socket");
}

static void check_ends(const struct pairs *p)
{
	struct pollfd reset = { .fd = p->reset, .events = POLLIN };
	char byte;

	take(p->half[1], "last words", "half");
	ended(p->half[1], "half");
	breaks(p->half[0], EPIPE, "half: no writes");
	put(p->half[1], "still open");
	take(p->half[0], "still open", "half, other way");
	ended(p->both[0], "both");
	breaks(p->both[0], EPIPE, "both");
	breaks(p->both[1], EPIPE, "both");
	take(p->no_reads[0], "before", "no reads");
	ended(p->no_reads[0], "no reads");
	breaks(p->no_reads[1], EPIPE, "no reads");
	put(p->no_reads[0], "other way");
	take(p->no_reads[1], "other way", "no reads, other way");
	take(p->packet_half[1], "last packet", "half, packets");
	ended(p->packet_half[1], "half, packets");
	take(p->closed, "from the dead", "closed");
	ended(p->closed, "closed");
	breaks(p->closed, EPIPE, "closed");
	victim_check(poll(&reset, 1, 0) == 1 && (reset.revents & POLLERR) &&
			     (reset.revents & POLLHUP),
		     "reset: %#x", (unsigned int)reset.revents);
	take(p->reset, "and more", "reset");
	victim_check(recv(p->reset, &byte, 1, MSG_DONTWAIT) < 0 &&
			     errno == ECONNRESET,
		     "reset: %s", strerror(errno));
	ended(p->reset, "reset, then");
	take(p->dgram_closed, "a last datagram", "closed datagrams");
	breaks(p->dgram_closed, ECONNREFUSED, "closed datagrams");
	breaks(p->dgram_closed, ENOTCONN, "closed datagrams, again");
	take(p->packet_closed, "a last packet", "closed packets");
	ended(p->packet_closed, "closed packets");
	breaks(p->packet_closed, EPIPE, "closed packets");
	breaks(p->fresh, ENOTCONN, "fresh");
	victim_check(fcntl(p->fresh, F_GETFL) & O_NONBLOCK,
		     "fresh, O_NONBLOCK");
}

/* What not all kernels have: SO_PASSSEC, PASSPIDFD, PASSRIGHTS, INQ. */
static const struct {
	int name, value;
} rare[RARE] = { { 34, 1 }, { 76, 1 }, { 83, 0 }, { 84, 1 } };

static void set_up_rare(struct pairs *p)
{
	pair(SOCK_STREAM, p->rare);
	for (int i = 0; i < RARE; i++) {
		(void)setsockopt(p->rare[0], SOL_SOCKET, rare[i].name,
				 &rare[i].value, sizeof(int));
		p->rare_value[i] = get(p->rare[0], rare[i].name);
	}
}

static void check_rare(const struct pairs *p)
{
	for (int i = 0; i < RARE; i++)
		victim_check(get(p->rare[0], rare[i].name) == p->rare_value[i],
			     "option %d: %d instead of %d", rare[i].name,
			     get(p->rare[0], rare[i].name), p->rare_value[i]);
}

static void set_up_options(struct pairs *p)
{
	struct timeval t = { 3, 500000 };
	struct linger linger = { 1, 7 };
	int fd;

	pair(SOCK_DGRAM, p->options);
	fd = p->options[0];
	set(fd, SO_RCVBUF, 50000);
	set(fd, SO_SNDBUF, 4000);
	set(fd, SO_PASSCRED, 1);
	set(fd, SO_PRIORITY, 5);
	set(fd, SO_RCVLOWAT, 9);
	set(fd, SO_KEEPALIVE, 1);
	set(fd, SO_BROADCAST, 1);
	set(fd, SO_TIMESTAMPNS, 1);
	victim_need(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) ==
				    0 &&
			    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				       sizeof(linger)) == 0,
		    "timeout, linger");
	t.tv_sec = 1;
	victim_need(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0,
		    "timeout");
}

static void check_options(const struct pairs *p)
{
	struct timeval rcv = { 0 }, snd = { 0 };
	struct linger linger = { 0 };
	socklen_t len = sizeof(rcv);
	int fd = p->options[0];

	victim_check(get(fd, SO_RCVBUF) == 100000, "SO_RCVBUF");
	victim_check(get(fd, SO_SNDBUF) == 8000, "SO_SNDBUF");
	victim_check(get(fd, SO_PASSCRED) == 1, "SO_PASSCRED");
	victim_check(get(p->options[1], SO_PASSCRED) == 0,
		     "SO_PASSCRED of the other");
	victim_check(get(fd, SO_PRIORITY) == 5, "SO_PRIORITY");
	victim_check(get(fd, SO_RCVLOWAT) == 9, "SO_RCVLOWAT");
	victim_check(get(fd, SO_KEEPALIVE) == 1, "SO_KEEPALIVE");
	victim_check(get(fd, SO_BROADCAST) == 1, "SO_BROADCAST");
	victim_check(get(fd, SO_TIMESTAMPNS) == 1 && !get(fd, SO_TIMESTAMP),
		     "SO_TIMESTAMPNS");
	victim_check(get(fd, SO_PEEK_OFF) == -1, "SO_PEEK_OFF");
	victim_check(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &rcv, &len) == 0 &&
			     rcv.tv_sec == 3 && rcv.tv_usec == 500000,
		     "SO_RCVTIMEO");
	victim_check(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &snd, &len) == 0 &&
			     snd.tv_sec == 1 && snd.tv_usec == 500000,
		     "SO_SNDTIMEO");
	len = sizeof(linger);
	victim_check(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) ==
				     0 &&
			     linger.l_onoff == 1 && linger.l_linger == 7,
		     "SO_LINGER");
	/* Untouched ones are as the kernel makes them. */
	victim_check(get(p->empty[0], SO_SNDBUF) == get(p->fresh, SO_SNDBUF) &&
			     get(p->stream[0], 72) == 0,
		     "buffers that nobody chose");
}

static void check_maker(int fd, pid_t pid, const char *what)
{
	struct ucred c = { 0 };
	socklen_t len = sizeof(c);

	victim_check(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) == 0 &&
			     c.pid == pid && c.uid == geteuid() &&
			     c.gid == getegid(),
		     "%s: made by %d (%u:%u), not %d", what, (int)c.pid, c.uid,
		     c.gid, (int)pid);
}

static void watch(struct pairs *p)
{
	struct f_owner_ex self = { F_OWNER_PID, getpid() };
	struct epoll_event in = { .events = EPOLLIN, .data.u64 = 77 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pair(SOCK_STREAM, p->watched);
	victim_need(fcntl(p->watched[0], F_SETOWN_EX, &self) == 0 &&
			    fcntl(p->watched[0], F_SETSIG, SIGRTMIN + 1) == 0 &&
			    fcntl(p->watched[0], F_SETFL,
				  O_ASYNC | O_NONBLOCK) == 0,
		    "O_ASYNC");
	p->epoll = epoll_create1(0);
	victim_need(p->epoll >= 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD,
					       p->watched[0], &in) == 0,
		    "epoll");
}

static void check_watched(const struct pairs *p)
{
	struct timespec none = { 0 };
	struct epoll_event event;
	siginfo_t info = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	victim_check(sigtimedwait(&set, &info, &none) < 0, "nothing is told");
	victim_check(epoll_wait(p->epoll, &event, 1, 0) == 0, "no event");
	put(p->watched[1], "x");
	victim_check(sigtimedwait(&set, &info, &none) == SIGRTMIN + 1 &&
			     info.si_fd == p->watched[0],
		     "a signal tells of descriptor %d", info.si_fd);
	victim_check(epoll_wait(p->epoll, &event, 1, 0) == 1 &&
			     event.data.u64 == 77 && event.events == EPOLLIN,
		     "epoll tells of it");
}

/* A child that answers what it is sent, until its end is closed. */
static pid_t start_child(struct pairs *p)
{
	pid_t pid;

	pair(SOCK_SEQPACKET, p->child);
	pid = fork();
	if (pid == 0) {
		char buf[64];
		ssize_t n;

		close(p->child[0]);
		while ((n = recv(p->child[1], buf, sizeof(buf), 0)) > 0)
			if (send(p->child[1], buf, (size_t)n, 0) != n)
				_exit(1);
		check_maker(p->child[1], getppid(), "in the child");
		_exit(n == 0 ? 0 : 2);
	}
	close(p->child[1]);
	return pid;
}

int main(int argc, char **argv)
{
	struct pairs p = { .with_empty =
				   argc == 2 && !strcmp(argv[1], "empty") };
	int status, twin;
	pid_t child;

	set_up_queues(&p);
	set_up_ends(&p);
	set_up_options(&p);
	set_up_rare(&p);
	watch(&p);
	child = start_child(&p);
	twin = dup(p.stream[0]);

	victim_wait();

	check_maker(p.stream[0], getpid(), "stream");
	check_maker(p.dgram[1], getpid(), "datagrams");
	check_maker(p.closed, getpid(), "closed");
	check_queues(&p);
	check_ends(&p);
	check_options(&p);
	check_rare(&p);
	check_watched(&p);
	victim_check(fcntl(twin, F_SETFL, O_NONBLOCK) == 0 &&
			     (fcntl(p.stream[0], F_GETFL) & O_NONBLOCK),
		     "a duplicate is one still");
	put(p.child[0], "question");
	victim_check(victim_until(recv(p.child[0], (char[64]){ 0 }, 64,
				       MSG_DONTWAIT | MSG_PEEK) > 0),
		     "the child answers");
	take(p.child[0], "question", "its answer");
	close(p.child[0]);
	victim_need(waitpid(child, &status, 0) == child, "child");
	victim_check(status == 0, "the child ended with %#x",
		     (unsigned int)status);
	victim_verdict(victim_interrupts == 0, "pairs are as they were");
}
