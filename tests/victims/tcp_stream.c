// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes run through connections, in both directions, while all this happens. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/victim.h"

#define CONNECTIONS 4

/* One end: what it has sent and received. */
struct end {
	int fd;
	uint32_t seed;
	uint64_t sent, received, wrong;
	struct end *other;
	pthread_t sender, receiver;
};

static struct end ends[CONNECTIONS][2];
static atomic_bool enough;

static uint8_t byte_at(uint32_t seed, uint64_t at)
{
	return (uint8_t)(((uint32_t)at * 2654435761u ^ seed) >> 13);
}

/* Pieces of all sizes, without a pause as long as there is room. */
static void *send_all(void *arg)
{
	struct end *e = arg;
	uint8_t buf[30000];

	for (uint32_t n = 1; !enough; n = (n * 7 + 13) % sizeof(buf) + 1) {
		for (uint32_t i = 0; i < n; i++)
			buf[i] = byte_at(e->seed, e->sent + i);
		for (uint32_t done = 0; done < n;) {
			ssize_t w = write(e->fd, buf + done, n - done);

			if (!victim_check(w > 0, "write: %s", strerror(errno)))
				return NULL;
			done += (uint32_t)w;
		}
		e->sent += n;
	}
	shutdown(e->fd, SHUT_WR);
	return NULL;
}

/* It rests now and then: what is sent piles up. */
static void *receive_all(void *arg)
{
	struct end *e = arg;
	uint8_t buf[50000];
	ssize_t n;

	while ((n = read(e->fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++, e->received++)
			e->wrong +=
				buf[i] != byte_at(e->other->seed, e->received);
		if (!enough)
			victim_nap(500000 + e->received % 1500000);
	}
	victim_check(n == 0, "read: %s", strerror(errno));
	return NULL;
}

static void begin(struct end *e, uint32_t seed)
{
	e->seed = seed;
	victim_need(!pthread_create(&e->sender, NULL, send_all, e) &&
			    !pthread_create(&e->receiver, NULL, receive_all, e),
		    "threads");
}

static void set_up(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	socklen_t len = sizeof(at);

	victim_need(bind(listener, (struct sockaddr *)&at, len) == 0 &&
			    listen(listener, CONNECTIONS) == 0 &&
			    getsockname(listener, (struct sockaddr *)&at,
					&len) == 0,
		    "listen");
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		struct end *e = ends[i];

		e[0].fd = socket(AF_INET, SOCK_STREAM, 0);
		victim_need(connect(e[0].fd, (struct sockaddr *)&at, len) == 0,
			    "connect");
		e[1].fd = accept(listener, NULL, NULL);
		victim_need(e[1].fd >= 0, "accept");
		if (i % 2)
			setsockopt(e[0].fd, IPPROTO_TCP, TCP_NODELAY, &on,
				   sizeof(on));
		e[0].other = &e[1];
		e[1].other = &e[0];
		begin(&e[0], 2 * i + 1);
		begin(&e[1], 2 * i + 2);
	}
}

int main(void)
{
	uint64_t all = 0;

	signal(SIGPIPE, SIG_IGN);
	set_up();

	victim_wait();

	enough = true;
	for (int i = 0; i < 2 * CONNECTIONS; i++) {
		pthread_join(ends[i / 2][i % 2].sender, NULL);
		pthread_join(ends[i / 2][i % 2].receiver, NULL);
	}
	for (int i = 0; i < 2 * CONNECTIONS; i++) {
		const struct end *e = &ends[i / 2][i % 2];

		victim_check(e->received == e->other->sent && !e->wrong,
			     "%llu of %llu bytes, %llu wrong",
			     (unsigned long long)e->received,
			     (unsigned long long)e->other->sent,
			     (unsigned long long)e->wrong);
		all += e->received;
	}
	victim_verdict(all > 100000, "bytes that run");
}
