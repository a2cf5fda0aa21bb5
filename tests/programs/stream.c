// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two processes and the connections between them: long ones whose bytes are
 * all checked, with readers that stop now and then so that queues fill up,
 * and short ones that come and go.  Prints what arrived, always the same.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONG_ONES   6
#define LONG_BYTES  (32u << 20)
#define SHORT_ONES  400
#define SHORT_BYTES 3000u

struct hello {
	uint32_t seed, bytes;
};

struct flow {
	int fd;
	uint32_t seed, bytes;
	uint64_t sum;
};

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static uint8_t byte_at(uint32_t seed, uint32_t at)
{
	return (uint8_t)((at * 2654435761u ^ seed) >> 13);
}

/* Mostly a little, sometimes more than there is room for. */
static uint32_t piece(uint32_t *state)
{
	uint32_t r = next(state);

	return r % 16 == 0 ? 200000 : r % 4 == 0 ? 20000 : 1 + r % 3000;
}

static void pause_a_bit(uint32_t *state)
{
	uint32_t r = next(state);
	struct timespec t = { 0, (long)(r % 3000000) };

	if (r % 8 == 0)
		nanosleep(&t, NULL);
}

static void *send_all(void *arg)
{
	struct flow *f = arg;
	uint32_t at = 0, state = f->seed | 1, n;
	uint8_t *buf = malloc(200000);

	while (at < f->bytes) {
		n = piece(&state);
		if (n > f->bytes - at)
			n = f->bytes - at;
		for (uint32_t i = 0; i < n; i++)
			buf[i] = byte_at(f->seed, at + i);
		for (uint32_t done = 0; done < n;) {
			ssize_t w = write(f->fd, buf + done, n - done);

			if (w <= 0)
				die("write");
			done += (uint32_t)w;
		}
		at += n;
		pause_a_bit(&state);
	}
	free(buf);
	if (shutdown(f->fd, SHUT_WR) < 0)
		die("shutdown");
	return NULL;
}

static void receive_all(struct flow *f)
{
	uint32_t at = 0, state = f->seed * 3 | 1;
	uint8_t *buf = malloc(200000);
	ssize_t n;

	while ((n = read(f->fd, buf, piece(&state))) > 0) {
		for (ssize_t i = 0; i < n; i++, at++) {
			if (buf[i] != byte_at(f->seed, at)) {
				printf("wrong byte at %u\n", at);
				_exit(1);
			}
			f->sum = f->sum * 31 + buf[i];
		}
		pause_a_bit(&state);
	}
	free(buf);
	if (n < 0)
		die("read");
	if (at != f->bytes) {
		printf("%u of %u bytes\n", at, f->bytes);
		_exit(1);
	}
}

/* Both directions at once. */
static uint64_t exchange(int fd, const struct hello *h, uint32_t mine,
			 uint32_t theirs)
{
	struct flow out = { fd, h->seed ^ mine, h->bytes, 0 };
	struct flow in = { fd, h->seed ^ theirs, h->bytes, 0 };
	pthread_t writer;

	if (pthread_create(&writer, NULL, send_all, &out))
		die("thread");
	receive_all(&in);
	pthread_join(writer, NULL);
	close(fd);
	return in.sum;
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct hello h;

	if (recv(fd, &h, sizeof(h), MSG_WAITALL) != sizeof(h))
		die("hello");
	exchange(fd, &h, 1, 2);
	return NULL;
}

static void serve(int listener)
{
	pthread_t threads[LONG_ONES + SHORT_ONES];

	for (int i = 0; i < LONG_ONES + SHORT_ONES; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			die("accept");
		if (pthread_create(&threads[i], NULL, serve_one,
				   (void *)(intptr_t)fd))
			die("thread");
	}
	for (int i = 0; i < LONG_ONES + SHORT_ONES; i++)
		pthread_join(threads[i], NULL);
}

static struct sockaddr_in server;

static uint64_t talk(uint32_t seed, uint32_t bytes)
{
	const struct hello h = { seed, bytes };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		die("connect");
	if (seed % 2)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (write(fd, &h, sizeof(h)) != sizeof(h))
		die("hello");
	return exchange(fd, &h, 2, 1);
}

static uint64_t sums[LONG_ONES];

static void *talk_long(void *arg)
{
	uint32_t i = (uint32_t)(intptr_t)arg;

	sums[i] = talk(1000 + i * 77, LONG_BYTES + i * 12345);
	return NULL;
}

static void be_client(void)
{
	pthread_t threads[LONG_ONES];
	uint64_t sum = 0;

	for (intptr_t i = 0; i < LONG_ONES; i++)
		if (pthread_create(&threads[i], NULL, talk_long, (void *)i))
			die("thread");
	for (uint32_t i = 0; i < SHORT_ONES; i++)
		sum = sum * 31 + talk(50000 + i, SHORT_BYTES);
	for (int i = 0; i < LONG_ONES; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < LONG_ONES; i++)
		printf("connection %d: %016llx\n", i,
		       (unsigned long long)sums[i]);
	printf("short ones: %016llx\n", (unsigned long long)sum);
	fflush(stdout);
}

int main(void)
{
	socklen_t len = sizeof(server);
	int listener = socket(AF_INET, SOCK_STREAM, 0), status;
	pid_t child;

	signal(SIGPIPE, SIG_IGN);
	server.sin_family = AF_INET;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&server, len) < 0 ||
	    listen(listener, 16) < 0 ||
	    getsockname(listener, (struct sockaddr *)&server, &len) < 0)
		die("listen");
	child = fork();
	if (child == 0) {
		close(listener);
		be_client();
		_exit(0);
	}
	serve(listener);
	if (waitpid(child, &status, 0) != child || status)
		die("client");
	return 0;
}
