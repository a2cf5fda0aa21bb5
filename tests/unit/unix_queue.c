/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What waits in a Unix socket is read, and nothing of it is changed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/tap.h"
#include "kernel/queue_mark.h"
#include "kernel/unix_diag.h"
#include "kernel/unix_queue.h"
#include "util/cleanup.h"

#define ROUNDS   60
#define MESSAGES 200

static void send_with(int sock, const char *text, int fd)
{
	union {
		struct cmsghdr head;
		uint8_t room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET,
				SCM_RIGHTS } };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	if (sendmsg(sock, &msg, 0) != (ssize_t)iov.iov_len)
		abort();
}

static int peek_offset(int fd)
{
	socklen_t len = sizeof(int);
	int v = -2;

	getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &v, &len);
	return v;
}

/* "abc|2:def": pieces, and how many descriptors come with each. */
static void describe(const struct unix_queue *q, char *ret, size_t room)
{
	size_t at = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < q->count && at < room; i++)
		at += (size_t)snprintf(ret + at, room - at, "%s%zu:%.*s",
				       i ? "|" : "", q->list[i].nfds,
				       (int)q->list[i].len,
				       (const char *)q->list[i].data);
}

static void reads(int fd, int type, const char *wanted, const char *what)
{
	struct unix_reader *reader = NULL;
	struct unix_queue q;
	struct err err = { 0 };
	char text[200];
	int before = peek_offset(fd);
	int r = unix_reader_new(&reader, &err);

	r = r < 0 ? r : unix_queue_read(reader, fd, type, &q, &err);
	describe(&q, text, sizeof(text));
	ok(r == 0 && !strcmp(text, wanted) && peek_offset(fd) == before,
	   "%s: %s (%s)", what, text, err.text);
	unix_queue_done(&q);
	unix_reader_free(reader);
}

static void test_pieces(void)
{
	int s[2], type = SOCK_STREAM;

	if (socketpair(AF_UNIX, type, 0, s) < 0)
		abort();
	reads(s[1], type, "", "nothing");
	send_with(s[0], "ab", -1);
	send_with(s[0], "c", -1);
	reads(s[1], type, "0:abc", "pieces of a stream are one");
	send_with(s[0], "de", 0);
	reads(s[1], type, "0:abc|1:de", "but for those with descriptors");
	send_with(s[0], "f", 1);
	send_with(s[0], "g", -1);
	send_with(s[0], "hi", -1);
	send_with(s[0], "j", 2);
	reads(s[1], type, "0:abc|1:de|1:f|0:ghi|1:j", "each of them");
	if (recv(s[1], (char[4]){ 0 }, 4, 0) != 4)
		abort();
	reads(s[1], type, "0:e|1:f|0:ghi|1:j", "what is half read");
	close(s[0]);
	close(s[1]);
}

static void test_packets(int type, const char *what)
{
	int s[2], three = 3;

	if (socketpair(AF_UNIX, type, 0, s) < 0)
		abort();
	reads(s[1], type, "", what);
	send_with(s[0], "abcd", -1);
	send_with(s[0], "ef", 0);
	send_with(s[0], "ghi", -1);
	reads(s[1], type, "0:abcd|1:ef|0:ghi", what);
	setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &three, sizeof(three));
	reads(s[1], type, "0:abcd|1:ef|0:ghi", "with an offset");
	close(s[0]);
	close(s[1]);
}

static bool hides(int fd, int type)
{
	struct unix_reader *reader = NULL;
	struct unix_queue q = { 0 };
	struct err err = { 0 };
	bool answer = false;

	if (unix_reader_new(&reader, &err) == 0 &&
	    unix_queue_read(reader, fd, type, &q, &err) == 0)
		answer = q.hides;
	unix_queue_done(&q);
	unix_reader_free(reader);
	return answer;
}

static void take_one(int fd)
{
	char byte;

	if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0)
		abort();
}

/* What is seen once only is never forgotten. */
static void test_empty(int type, const char *what)
{
	int s[2];

	if (socketpair(AF_UNIX, type, 0, s) < 0)
		abort();
	send_with(s[0], "ab", -1);
	ok(!hides(s[1], type) && !queue_marked(s[1]),
	   "%s: nothing is hidden", what);
	send_with(s[0], "", -1);
	send_with(s[0], "c", -1);
	reads(s[1], type, "0:ab|0:|0:c", "an empty one");
	ok(queue_marked(s[1]), "leaves a mark");
	reads(s[1], type, "0:ab|0:c", "it is seen once");
	ok(hides(s[1], type), "which is known later");
	take_one(s[1]);
	ok(hides(s[1], type), "also when it is the first");
	take_one(s[1]);
	take_one(s[1]);
	ok(!hides(s[1], type) && !queue_marked(s[1]),
	   "and not when all is read");
	send_with(s[0], "d", -1);
	ok(!hides(s[1], type), "nor afterwards");
	take_one(s[1]);
	send_with(s[0], "", -1);
	reads(s[1], type, "0:", "one alone");
	ok(hides(s[1], type), "is hidden then");
	close(s[0]);
	close(s[1]);
}

/* By the program itself. */
static void test_own_looks(int type, const char *what)
{
	int s[2], zero = 0, none = -1;
	char byte;

	if (socketpair(AF_UNIX, type, 0, s) < 0)
		abort();
	send_with(s[0], "", -1);
	send_with(s[0], "a", -1);
	if (recv(s[1], &byte, 1, MSG_PEEK) != 0)
		abort();
	ok(hides(s[1], type), "%s: the first, that the program has seen", what);
	take_one(s[1]);
	take_one(s[1]);
	send_with(s[0], "b", -1);
	setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero));
	ok(hides(s[1], type), "nobody knows where its looks have been");
	setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &none, sizeof(none));
	close(s[0]);
	close(s[1]);
}

static void test_end(void)
{
	int s[2], type = SOCK_SEQPACKET;

	if (socketpair(AF_UNIX, type, 0, s) < 0)
		abort();
	send_with(s[0], "a", -1);
	send_with(s[0], "", -1);
	send_with(s[0], "b", -1);
	close(s[0]);
	reads(s[1], type, "0:a|0:|0:b", "an empty one before the end");
	ok(hides(s[1], type), "is hidden once seen");
	for (int i = 0; i < 3; i++)
		take_one(s[1]);
	ok(!hides(s[1], type) && !queue_marked(s[1]),
	   "but the end is none");
	close(s[1]);
}

/* A child that is killed while it reads leaves no offset behind. */
static bool survives(int fd, unsigned int round)
{
	struct timespec nap = { .tv_nsec = 1000L * 37 * round };
	pid_t pid = fork();

	if (pid == 0) {
		struct unix_reader *reader;
		struct unix_queue q;
		struct err err;

		if (unix_reader_new(&reader, &err) < 0)
			_exit(1);
		for (;;) {
			if (unix_queue_read(reader, fd, SOCK_DGRAM, &q, &err) <
			    0)
				_exit(1);
			unix_queue_done(&q);
		}
	}
	nanosleep(&nap, NULL);
	kill(pid, SIGKILL);
	/* The guard, too, which is our child by now. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	return peek_offset(fd) == -1;
}

/* Who is killed while it reads has seen it, or has not. */
static bool knows_of_empty(unsigned int round)
{
	struct unix_reader *reader = NULL;
	struct unix_queue q = { 0 };
	struct err err = { 0 };
	char text[200];
	bool known = false;
	int s[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) < 0)
		abort();
	for (int i = 0; i < 20; i++)
		send_with(s[0], "a", -1);
	send_with(s[0], "", -1);
	for (int i = 0; i < 20; i++)
		send_with(s[0], "b", -1);
	(void)survives(s[1], round);
	if (unix_reader_new(&reader, &err) == 0 &&
	    unix_queue_read(reader, s[1], SOCK_DGRAM, &q, &err) == 0) {
		describe(&q, text, sizeof(text));
		known = q.hides || strstr(text, "|0:|");
	}
	unix_queue_done(&q);
	unix_reader_free(reader);
	close(s[0]);
	close(s[1]);
	return known;
}

static void test_killed_at_empty(void)
{
	unsigned int good = 0;

	for (unsigned int i = 0; i < 2 * ROUNDS; i++)
		good += knows_of_empty(i / 2);
	ok(good == 2 * ROUNDS,
	   "an empty packet is seen or known of in %u of %d", good, 2 * ROUNDS);
}

static void test_killed(void)
{
	unsigned int good = 0, clean = 0;
	int s[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) < 0)
		abort();
	for (int i = 0; i < MESSAGES; i++)
		send_with(s[0], "message", -1);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		good += survives(s[1], i);
		clean += !queue_marked(s[1]);
	}
	ok(good == ROUNDS, "SO_PEEK_OFF is put back after %u of %d deaths",
	   good, ROUNDS);
	ok(clean == ROUNDS, "and no mark is left by %u", clean);
	close(s[0]);
	close(s[1]);
}

static void test_diag(void)
{
	struct unix_socket a = { 0 }, b = { 0 };
	struct err err = { 0 };
	struct stat st[2];
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) < 0 ||
	    fstat(s[0], &st[0]) < 0 || fstat(s[1], &st[1]) < 0)
		abort();
	shutdown(s[0], SHUT_WR);
	ok(unix_diag_find((uint32_t)st[0].st_ino, &a, &err) == 0 &&
		   unix_diag_find((uint32_t)st[1].st_ino, &b, &err) == 0,
	   "sockets are found: %s", err.text);
	ok(a.has_peer && a.peer == b.inode && b.peer == a.inode &&
		   a.type == SOCK_SEQPACKET && !a.name_len && !a.listening,
	   "each knows the other");
	ok(a.shutdown == 2 && b.shutdown == 1, "shut down: %d, %d", a.shutdown,
	   b.shutdown);
	unix_socket_done(&a);
	unix_socket_done(&b);
	close(s[0]);
	close(s[1]);
	ok(unix_diag_find((uint32_t)st[0].st_ino, &a, &err) == -ENOENT,
	   "a closed one is not there");
}

int main(void)
{
	/* Guards outlive who has started them: we reap them. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	test_pieces();
	test_packets(SOCK_DGRAM, "datagrams");
	test_packets(SOCK_SEQPACKET, "packets");
	test_empty(SOCK_DGRAM, "datagrams");
	test_empty(SOCK_SEQPACKET, "packets");
	test_own_looks(SOCK_DGRAM, "datagrams");
	test_own_looks(SOCK_SEQPACKET, "packets");
	test_end();
	test_killed();
	test_killed_at_empty();
	test_diag();
	return done_testing();
}
