// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits in a UDP socket, and what is left by who is killed looking. */
#include "repair/datagrams.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/queue_mark.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define MANY     200
#define MOST     1000
#define BYTES    100000
#define ROUNDS   500
#define DEADLINE (10 * NSEC_PER_SEC)

static int make(struct sockaddr_in *ret)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr =
					     htonl(INADDR_LOOPBACK) };
	if (bind(fd, (struct sockaddr *)ret, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret, &len) < 0)
		exit(1);
	return fd;
}

static void put(int fd, const struct sockaddr_in *at, const char *text)
{
	if (sendto(fd, text, strlen(text), 0, (const struct sockaddr *)at,
		   sizeof(*at)) != (ssize_t)strlen(text))
		exit(1);
}

static int peek_offset(int fd)
{
	socklen_t len = sizeof(int);
	int v = 0;

	return getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &v, &len) < 0 ? 0 : v;
}

static void test_read(void)
{
	struct sockaddr_in at, from;
	auto_close int fd = make(&at), other = make(&from);
	struct datagrams d = { 0 };
	struct err err = { 0 };

	put(other, &at, "one");
	put(fd, &at, "second");
	ok(datagrams_read(fd, MOST, BYTES, &d, &err) == 0 && d.count == 2 &&
		   d.list[0].len == 3 && d.list[1].len == 6 && d.bytes == 9 &&
		   !memcmp(d.list[0].data, "one", 3) &&
		   d.list[0].source.in.sin_port == from.sin_port &&
		   d.list[1].source.in.sin_port == at.sin_port,
	   "all are seen, and who has sent them %s", err.text);
	datagrams_done(&d);
	ok(!queue_marked(fd) && peek_offset(fd) == -1, "no trace is left");
	ok(datagrams_read(fd, 1, BYTES, &d, &err) == -ENOTSUP && !d.empty,
	   "no more than so many: %s", err.text);
	datagrams_done(&d);
	ok(datagrams_read(fd, MOST, 8, &d, &err) == -ENOTSUP && !d.empty,
	   "or so large: %s", err.text);
	datagrams_done(&d);
	put(fd, &at, "");
	ok(datagrams_read(fd, MOST, BYTES, &d, &err) == -ENOTSUP && d.empty &&
		   queue_marked(fd),
	   "an empty one leaves its mark: %s", err.text);
	datagrams_done(&d);
	ok(datagrams_read(fd, MOST, BYTES, &d, &err) == -ENOTSUP && d.empty,
	   "by which it is known");
	datagrams_done(&d);
}

/* As a worker that is killed at any moment. */
static bool is_clean_after_kill(int fd, long after_ns)
{
	const struct timespec t = { .tv_nsec = after_ns };
	const uint64_t deadline = clock_monotonic_ns() + DEADLINE;
	pid_t child = fork();

	if (child == 0) {
		for (;;) {
			struct datagrams d;
			struct err err;

			(void)datagrams_read(fd, MOST, BYTES, &d, &err);
			datagrams_done(&d);
		}
	}
	nanosleep(&t, NULL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (queue_marked(fd) || peek_offset(fd) != -1) {
		const struct timespec nap = { .tv_nsec = 100000 };

		if (clock_monotonic_ns() > deadline)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

static void test_killed(void)
{
	struct sockaddr_in at;
	auto_close int fd = make(&at);
	struct datagrams d;
	struct err err = { 0 };
	int dirty = 0, got = 0;
	char buf[8];

	for (int i = 0; i < MANY; i++)
		put(fd, &at, "data");
	for (long i = 0; i < ROUNDS && !dirty; i++)
		dirty += !is_clean_after_kill(fd, 150000 + i * 9973 % 3000000);
	ok(!dirty, "killed %d times, and no mark was left", ROUNDS);
	ok(datagrams_read(fd, MOST, BYTES, &d, &err) == 0 && d.count == MANY,
	   "all can be seen still: %s", err.text);
	datagrams_done(&d);
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 4)
		got++;
	ok(got == MANY, "and be read: %d", got);
}

int main(void)
{
	test_read();
	test_killed();
	return done_testing();
}
