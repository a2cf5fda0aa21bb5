// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server, and clients that keep their connections and use them again.  While
 * one is idle it has no byte, no end and no error; and each ends in one of all
 * ways that there are, which both sides know before: so a byte or an end that
 * is lost, comes twice or comes from nowhere is seen by who gets it.  Prints
 * what was answered and how connections ended, always the same.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS   4
#define POOL      5
#define QUESTIONS 1500
#define MOST      300000u
#define STACK     (256u << 10)

/* What becomes of a connection after an answer. */
enum end {
	KEEP,
	CLIENT_CLOSES,
	SERVER_CLOSES,
	CLIENT_SHUTS,  /* before the answer */
	BOTH_SHUT,     /* at once */
	SERVER_RESETS, /* by leaving a byte unread */
	CLIENT_RESETS,
	ENDS
};

struct question {
	uint32_t number, seed, bytes, end;
};

static struct sockaddr_in server;

static void fail(const struct question *q, const char *who, const char *what,
		 ssize_t got)
{
	printf("question %u, %u bytes, end %u: %s: %s: %zd %s\n", q->number,
	       q->bytes, q->end, who, what, got,
	       got < 0 ? strerror(errno) : "");
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

static void pause_a_bit(uint32_t *state)
{
	uint32_t r = next(state);
	struct timespec t = { 0, (long)(r % 2000000) };

	if (r % 8 == 0)
		nanosleep(&t, NULL);
}

static void say(int fd, const void *data, size_t len, const struct question *q,
		const char *who)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n <= 0)
			fail(q, who, "write", n);
		done += (size_t)n;
	}
}

/* False: the stream has ended, and before the first byte. */
static bool hear(int fd, void *data, size_t len, const struct question *q,
		 const char *who)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)data + done, len - done);

		if (n == 0 && done == 0)
			return false;
		if (n <= 0)
			fail(q, who, "read", n);
		done += (size_t)n;
	}
	return true;
}

static void hear_end(int fd, const struct question *q, const char *who)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	if (n)
		fail(q, who, "something instead of the end", n);
}

static void hear_reset(int fd, const struct question *q, const char *who)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	if (n >= 0 || errno != ECONNRESET)
		fail(q, who, "something instead of a reset", n);
}

/* The answer is the question and that many bytes. */
static void answer(int fd, const struct question *q)
{
	uint8_t *data = malloc(sizeof(*q) + q->bytes);

	memcpy(data, q, sizeof(*q));
	for (uint32_t i = 0; i < q->bytes; i++)
		data[sizeof(*q) + i] = byte_at(q->seed, i);
	say(fd, data, sizeof(*q) + q->bytes, q, "server");
	free(data);
}

/* The last question of a connection, and how it ends for the server. */
static void serve_end(int fd, const struct question *q)
{
	static const char who[] = "server";
	char byte;

	if (q->end == CLIENT_SHUTS)
		hear_end(fd, q, who);
	/* The byte behind the question: it is there and not taken. */
	if (q->end == SERVER_RESETS && recv(fd, &byte, 1, MSG_PEEK) != 1)
		fail(q, who, "no byte to be left", 0);
	answer(fd, q);
	if (q->end == BOTH_SHUT && shutdown(fd, SHUT_WR) < 0)
		fail(q, who, "shutdown", -1);
	if (q->end == CLIENT_CLOSES || q->end == BOTH_SHUT)
		hear_end(fd, q, who);
	if (q->end == CLIENT_RESETS)
		hear_reset(fd, q, who);
	close(fd);
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg, on = 1;
	struct question q = { 0 };
	uint32_t state;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (;;) {
		/* Of one that was never used this is the end. */
		if (!hear(fd, &q, sizeof(q), &q, "server")) {
			if (q.number)
				fail(&q, "server", "an end of the idle", 0);
			close(fd);
			return NULL;
		}
		state = q.seed | 1;
		pause_a_bit(&state);
		if (q.end != KEEP)
			break;
		answer(fd, &q);
	}
	serve_end(fd, &q);
	return NULL;
}

static void *serve(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		if (pthread_create(&thread, &attr, serve_one,
				   (void *)(intptr_t)fd))
			break;
	fail(&(struct question){ 0 }, "server", "accept", -1);
	return NULL;
}

struct client {
	uint32_t state, number;
	int pool[POOL]; /* 0: not connected */
	uint32_t ends[ENDS], unused;
	uint64_t sum;
};

static int call_server(const struct question *q)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		fail(q, "client", "connect", -1);
	return fd;
}

static void check_idle(int fd, const struct question *q)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n >= 0 || errno != EAGAIN)
		fail(q, "client", "the connection was not idle", n);
}

static void read_answer(int fd, const struct question *q, struct client *c)
{
	uint8_t *data = malloc(q->bytes + 1);
	struct question got;

	if (!hear(fd, &got, sizeof(got), q, "client") ||
	    memcmp(&got, q, sizeof(got)))
		fail(q, "client", "not this answer", got.number);
	if (q->bytes && !hear(fd, data, q->bytes, q, "client"))
		fail(q, "client", "an end in the answer", 0);
	for (uint32_t i = 0; i < q->bytes; i++) {
		if (data[i] != byte_at(q->seed, i))
			fail(q, "client", "wrong byte", i);
		c->sum = c->sum * 31 + data[i];
	}
	free(data);
}

/* True: the connection is over. */
static bool take_leave(int fd, const struct question *q)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (q->end == KEEP)
		return false;
	if (q->end == BOTH_SHUT && shutdown(fd, SHUT_WR) < 0)
		fail(q, "client", "shutdown", -1);
	if (q->end == SERVER_CLOSES || q->end == CLIENT_SHUTS ||
	    q->end == BOTH_SHUT)
		hear_end(fd, q, "client");
	if (q->end == SERVER_RESETS)
		hear_reset(fd, q, "client");
	if (q->end == CLIENT_RESETS)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
			   sizeof(at_once));
	close(fd);
	return true;
}

static uint32_t length(uint32_t *state)
{
	uint32_t r = next(state);

	return r % 32 == 0 ? next(state) % MOST : r % 3 ? r % 3000 : 0;
}

static enum end choose(uint32_t *state)
{
	return next(state) % 3 ? KEEP : (enum end)(next(state) % ENDS);
}

static void ask(struct client *c, int *fd, enum end end)
{
	struct question q = { .number = ++c->number, .end = end };
	uint8_t text[sizeof(q) + 1] = { 0 };

	q.seed = next(&c->state);
	q.bytes = length(&c->state);
	/* A reset also ends what has not arrived. */
	if (q.end == SERVER_RESETS)
		q.bytes %= 3000;
	if (!*fd)
		*fd = call_server(&q);
	check_idle(*fd, &q);
	memcpy(text, &q, sizeof(q));
	say(*fd, text, sizeof(q) + (q.end == SERVER_RESETS), &q, "client");
	if (q.end == CLIENT_SHUTS && shutdown(*fd, SHUT_WR) < 0)
		fail(&q, "client", "shutdown", -1);
	pause_a_bit(&c->state);
	read_answer(*fd, &q, c);
	c->ends[q.end]++;
	if (take_leave(*fd, &q))
		*fd = 0;
}

static void *be_client(void *arg)
{
	struct client *c = arg;

	while (c->number < QUESTIONS) {
		const struct question now = { .number = c->number };

		for (int i = 0; i < POOL; i++)
			if (c->pool[i])
				check_idle(c->pool[i], &now);
		if (next(&c->state) % 32 == 0) {
			close(call_server(&now));
			c->unused++;
		}
		ask(c, &c->pool[next(&c->state) % POOL], choose(&c->state));
		pause_a_bit(&c->state);
	}
	for (int i = 0; i < POOL; i++)
		ask(c, &c->pool[i], CLIENT_CLOSES);
	return NULL;
}

static void ask_all(void)
{
	static struct client all[CLIENTS];
	pthread_t threads[CLIENTS];

	for (uint32_t i = 0; i < CLIENTS; i++) {
		all[i].state = 4711 * (i + 1);
		if (pthread_create(&threads[i], NULL, be_client, &all[i]))
			fail(&(struct question){ 0 }, "client", "thread", -1);
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		printf("client %d: %016llx, ends", i,
		       (unsigned long long)all[i].sum);
		for (int e = 0; e < ENDS; e++)
			printf(" %u", all[i].ends[e]);
		printf(", not used %u\n", all[i].unused);
	}
	fflush(stdout);
}

int main(void)
{
	const struct question nothing = { 0 };
	socklen_t len = sizeof(server);
	int listener = socket(AF_INET, SOCK_STREAM, 0), status;
	pthread_t thread;
	pid_t child;

	signal(SIGPIPE, SIG_IGN);
	server.sin_family = AF_INET;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&server, len) < 0 ||
	    listen(listener, 16) < 0 ||
	    getsockname(listener, (struct sockaddr *)&server, &len) < 0)
		fail(&nothing, "server", "listen", -1);
	child = fork();
	if (child == 0) {
		close(listener);
		ask_all();
		_exit(0);
	}
	if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)listener))
		fail(&nothing, "server", "thread", -1);
	if (waitpid(child, &status, 0) != child || status)
		fail(&nothing, "server", "client", status);
	return 0;
}
