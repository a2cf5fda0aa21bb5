// SPDX-License-Identifier: GPL-2.0-or-later
/* Open files and credentials that travel over Unix sockets. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/victim.h"

#define TRAVEL 7

struct ways {
	int stream[2], packet[2], nest[2], loop[2], creds[2], creds_stream[2];
	int reader; /* of the pipe whose only writer travels */
	int twin;   /* of the file that travels */
	pid_t child;
};

static void pair(int type, int fds[2])
{
	victim_need(socketpair(AF_UNIX, type, 0, fds) == 0, "socketpair");
}

static void send_fds(int sock, const char *text, const int *fds, size_t count)
{
	uint8_t control[CMSG_SPACE(sizeof(int) * TRAVEL)]
		__attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen =
				      CMSG_SPACE(sizeof(int) * count) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	victim_need(sendmsg(sock, &msg, 0) == (ssize_t)iov.iov_len, "sendmsg");
}

/* What a read of room bytes gives: text, and so many descriptors. */
static void receive(int sock, size_t room, const char *text, int *fds,
		    size_t count, struct ucred *sender)
{
	uint8_t control[CMSG_SPACE(sizeof(int) * TRAVEL) +
			CMSG_SPACE(sizeof(struct ucred))]
		__attribute__((aligned(8)));
	char buf[100] = "";
	struct iovec iov = { buf, room };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	size_t got = 0;

	victim_check(n == (ssize_t)strlen(text) && !strcmp(buf, text),
		     "\"%s\" (%zd) instead of \"%s\"", buf, n, text);
	if (n < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c;
	     c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_type == SCM_RIGHTS) {
			got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			if (got <= count)
				memcpy(fds, CMSG_DATA(c), got * sizeof(int));
		} else if (c->cmsg_type == SCM_CREDENTIALS && sender) {
			memcpy(sender, CMSG_DATA(c), sizeof(*sender));
		}
	}
	victim_check(got == count, "with \"%s\" came %zu files, not %zu", text,
		     got, count);
}

static int make_timer(void)
{
	const struct itimerspec far = { .it_value = { 5000, 0 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	victim_need(fd >= 0 && timerfd_settime(fd, 0, &far, NULL) == 0,
		    "timerfd");
	return fd;
}

static int make_file(const char *name, const char *text, bool unlinked)
{
	int fd = open(victim_path(name), O_RDWR | O_CREAT, 0600);

	victim_need(fd >= 0 &&
			    write(fd, text, strlen(text)) ==
				    (ssize_t)strlen(text) &&
			    lseek(fd, 3, SEEK_SET) == 3,
		    name);
	if (unlinked)
		unlink(victim_path(name));
	return fd;
}

static int make_memfd(void)
{
	int fd = memfd_create("travels", 0);

	victim_need(fd >= 0 && pwrite(fd, "in memory", 9, 0) == 9, "memfd");
	return fd;
}

static void send_many(struct ways *w)
{
	int pipe_ends[2], fds[TRAVEL];

	pair(SOCK_STREAM, w->stream);
	victim_need(pipe(pipe_ends) == 0, "pipe");
	w->reader = pipe_ends[0];
	fds[0] = pipe_ends[1];
	fds[1] = make_file("file", "0123456789", false);
	w->twin = dup(fds[1]);
	fds[2] = make_file("gone", "abcdefghij", true);
	fds[3] = make_memfd();
	fds[4] = eventfd(41, EFD_NONBLOCK);
	fds[5] = make_timer();
	fds[6] = open("/dev/null", O_WRONLY);
	victim_need(send(w->stream[0], "abc", 3, 0) == 3, "send");
	send_fds(w->stream[0], "def", fds, 4);
	victim_need(send(w->stream[0], "ghi", 3, 0) == 3, "send");
	send_fds(w->stream[0], "jkl", fds + 4, 3);
	for (int i = 0; i < TRAVEL; i++)
		close(fds[i]);
}

static void check_files(const struct ways *w, int fds[4])
{
	struct pollfd p = { .fd = w->reader, .events = POLLIN };
	char buf[16] = "";

	victim_check(poll(&p, 1, 0) == 0, "the pipe has a writer: %#x",
		     (unsigned int)p.revents);
	victim_check(write(fds[0], "x", 1) == 1 &&
			     read(w->reader, buf, 1) == 1 && buf[0] == 'x',
		     "the writer writes");
	close(fds[0]);
	victim_check(read(w->reader, buf, 1) == 0, "and was the only one");
	victim_check(read(fds[1], buf, 2) == 2 && !memcmp(buf, "34", 2) &&
			     lseek(w->twin, 0, SEEK_CUR) == 5,
		     "a file and its duplicate share a position");
	victim_check(read(fds[2], buf, 2) == 2 && !memcmp(buf, "de", 2),
		     "an unlinked file");
	victim_check(pread(fds[3], buf, 9, 0) == 9 &&
			     !memcmp(buf, "in memory", 9),
		     "a memfd");
}

static void check_many(struct ways *w)
{
	struct itimerspec left = { 0 };
	uint64_t count = 0;
	int fds[TRAVEL];

	/* Files come with the first byte of what they were sent with. */
	receive(w->stream[1], 2, "ab", NULL, 0, NULL);
	receive(w->stream[1], 1, "c", NULL, 0, NULL);
	receive(w->stream[1], 1, "d", fds, 4, NULL);
	receive(w->stream[1], 5, "efghi", NULL, 0, NULL);
	receive(w->stream[1], 50, "jkl", fds + 4, 3, NULL);
	check_files(w, fds);
	victim_check(read(fds[4], &count, 8) == 8 && count == 41, "eventfd");
	victim_check(timerfd_gettime(fds[5], &left) == 0 &&
			     left.it_value.tv_sec > 4000 &&
			     left.it_value.tv_sec < 5000,
		     "timerfd: %lld s left", (long long)left.it_value.tv_sec);
	victim_check(write(fds[6], "x", 1) == 1, "/dev/null");
}

/* A socket with one in it, in which a file travels; and one in itself. */
static void send_nested(struct ways *w)
{
	int outer[2], inner[2], fd = make_file("deep", "0123456789", false);

	pair(SOCK_SEQPACKET, w->nest);
	pair(SOCK_DGRAM, outer);
	pair(SOCK_STREAM, inner);
	send_fds(inner[0], "innermost", &fd, 1);
	send_fds(outer[0], "inner", &inner[1], 1);
	send_fds(w->nest[0], "outer", &outer[1], 1);
	send_fds(w->nest[0], "second packet", &w->nest[0], 1);
	close(inner[0]);
	close(inner[1]);
	close(outer[0]);
	close(outer[1]);
	close(fd);
	pair(SOCK_STREAM, w->loop);
	send_fds(w->loop[0], "loop", &w->loop[1], 1);
	send_fds(w->loop[0], "loop again", w->loop, 2);
}

static void check_nested(struct ways *w)
{
	int outer = -1, inner = -1, fd = -1, again = -1, both[2] = { -1, -1 };
	char buf[4] = "", byte;

	receive(w->nest[1], 50, "outer", &outer, 1, NULL);
	receive(w->nest[1], 50, "second packet", &again, 1, NULL);
	receive(outer, 50, "inner", &inner, 1, NULL);
	receive(inner, 50, "innermost", &fd, 1, NULL);
	victim_check(read(fd, buf, 2) == 2 && !memcmp(buf, "34", 2),
		     "the innermost file");
	victim_check(recv(inner, &byte, 1, MSG_DONTWAIT) == 0,
		     "the other end of the innermost socket is closed");
	victim_check(send(again, "x", 1, 0) == 1 &&
			     recv(w->nest[1], &byte, 1, MSG_DONTWAIT) == 1,
		     "the second is the sender");
	receive(w->loop[1], 50, "loop", &fd, 1, NULL);
	receive(w->loop[1], 50, "loop again", both, 2, NULL);
	victim_check(send(w->loop[0], "y", 1, 0) == 1 &&
			     recv(fd, &byte, 1, MSG_DONTWAIT) == 1 &&
			     byte == 'y',
		     "a socket that came out of itself");
}

static void pass_credentials(int fd)
{
	int on = 1;

	victim_need(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ==
			    0,
		    "SO_PASSCRED");
}

static void send_credentials(struct ways *w)
{
	int done[2];
	char byte;

	pair(SOCK_DGRAM, w->creds);
	pair(SOCK_STREAM, w->creds_stream);
	victim_need(send(w->creds[0], "nobody", 6, 0) == 6, "send");
	pass_credentials(w->creds[1]);
	pass_credentials(w->creds_stream[1]);
	victim_need(send(w->creds[0], "parent", 6, 0) == 6 &&
			    send(w->creds_stream[0], "parent", 6, 0) == 6,
		    "send");
	victim_need(pipe(done) == 0, "pipe");
	w->child = fork();
	if (w->child == 0) {
		(void)!send(w->creds[0], "child", 5, 0);
		(void)!send(w->creds_stream[0], "child", 5, 0);
		close(done[0]);
		close(done[1]);
		victim_wait_go();
		_exit(0);
	}
	close(done[1]);
	victim_need(read(done[0], &byte, 1) == 0, "child");
	close(done[0]);
}

static void check_sender(int sock, const char *text, pid_t pid)
{
	struct ucred c = { 0 };

	receive(sock, 50, text, NULL, 0, &c);
	victim_check(c.pid == pid && c.uid == (pid ? geteuid() : 65534) &&
			     c.gid == (pid ? getegid() : 65534),
		     "%s: from %d (%u:%u), not from %d", text, (int)c.pid,
		     c.uid, c.gid, (int)pid);
}

int main(void)
{
	struct ways w = { 0 };
	struct ucred c = { 0 };
	int status;

	send_many(&w);
	send_nested(&w);
	send_credentials(&w);

	victim_wait();

	check_many(&w);
	check_nested(&w);
	check_sender(w.creds[1], "nobody", 0);
	check_sender(w.creds[1], "parent", getpid());
	check_sender(w.creds[1], "child", w.child);
	check_sender(w.creds_stream[1], "parent", getpid());
	check_sender(w.creds_stream[1], "child", w.child);
	victim_check(send(w.creds[0], "new", 3, 0) == 3, "send");
	receive(w.creds[1], 50, "new", NULL, 0, &c);
	victim_check(c.pid == getpid(), "a new message is from us");
	victim_need(waitpid(w.child, &status, 0) == w.child && status == 0,
		    "child");
	victim_verdict(victim_interrupts == 0, "what travelled has arrived");
}
