// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Servers that accept late, TCP and Unix.  Nearly always a client
 * has connected and sent, and nobody has accepted it yet; what it has sent is
 * nowhere to be seen then.
 */
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define LATE_NS 60000000 /* how long a client waits */

struct service {
	struct sockaddr_storage at;
	socklen_t len;
	int door;
	atomic_uint asked, served;
	atomic_bool over;
};

static void open_tcp(struct service *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	s->door = socket(AF_INET, SOCK_STREAM, 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->len = sizeof(s->at);
	victim_need(bind(s->door, (struct sockaddr *)&in, sizeof(in)) == 0 &&
			    listen(s->door, 5) == 0 &&
			    getsockname(s->door, (struct sockaddr *)&s->at,
					&s->len) == 0,
		    "TCP server");
}

static void open_unix(struct service *s)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	s->door = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(un.sun_path, victim_path("door"), sizeof(un.sun_path) - 1);
	s->len = sizeof(un);
	memcpy(&s->at, &un, sizeof(un));
	victim_need(bind(s->door, (struct sockaddr *)&un, sizeof(un)) == 0 &&
			    listen(s->door, 5) == 0,
		    "Unix server");
}

/* Each question is a number, each answer the same and one more. */
static void serve(struct service *s)
{
	for (;;) {
		uint32_t n = 0;
		int fd;

		victim_nap(LATE_NS);
		fd = accept(s->door, NULL, NULL);
		victim_check(fd >= 0, "accept");
		victim_check(recv(fd, &n, sizeof(n), MSG_WAITALL) == sizeof(n),
			     "a question of whole length");
		/* The last one is no question. */
		if (!n)
			_exit(0);
		n++;
		atomic_fetch_add(&s->served, 1);
		victim_check(send(fd, &n, sizeof(n), MSG_NOSIGNAL) == sizeof(n),
			     "an answer");
		close(fd);
	}
}

static void ask(struct service *s, uint32_t n)
{
	int fd = socket(s->at.ss_family, SOCK_STREAM, 0);
	uint32_t answer = 0;

	victim_check(connect(fd, (struct sockaddr *)&s->at, s->len) == 0,
		     "connect");
	victim_check(send(fd, &n, sizeof(n), MSG_NOSIGNAL) == sizeof(n),
		     "question %u", n);
	if (n && victim_check(recv(fd, &answer, sizeof(answer), MSG_WAITALL) ==
				      sizeof(answer),
			      "answer to question %u", n))
		victim_check(answer == n + 1, "%u answers %u", answer, n);
	close(fd);
}

static void be_client(struct service *s)
{
	uint32_t n = 0;

	close(s->door);
	while (!atomic_load(&s->over)) {
		ask(s, ++n);
		atomic_store(&s->asked, n);
	}
	ask(s, 0);
	_exit(0);
}

int main(void)
{
	const size_t size = 2 * sizeof(struct service);
	struct service *s = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int before[2];
	int status;

	victim_need(s != MAP_FAILED, "mmap");
	open_tcp(&s[0]);
	open_unix(&s[1]);
	for (int i = 0; i < 2; i++) {
		if (fork() == 0)
			be_client(&s[i]);
		if (fork() == 0)
			serve(&s[i]);
		/* The server alone has it then. */
		close(s[i].door);
		victim_need(victim_until(atomic_load(&s[i].asked) > 1),
			    "a server");
	}

	victim_wait();

	for (int i = 0; i < 2; i++)
		before[i] = atomic_load(&s[i].asked);
	for (int i = 0; i < 2; i++) {
		victim_check(
			victim_until(atomic_load(&s[i].asked) > before[i] + 1),
			"service %d goes on", i);
		atomic_store(&s[i].over, true);
	}
	for (int i = 0; i < 4; i++)
		victim_check(wait(&status) > 0 && status == 0,
			     "a process ends well");
	for (int i = 0; i < 2; i++)
		victim_check(
			atomic_load(&s[i].asked) == atomic_load(&s[i].served),
			"service %d: %u asked, %u served", i,
			atomic_load(&s[i].asked), atomic_load(&s[i].served));
	victim_verdict(true, "who is accepted late is waited for");
}
