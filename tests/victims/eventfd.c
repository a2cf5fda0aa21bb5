// SPDX-License-Identifier: GPL-2.0-or-later
/* Eventfds: the largest count, semaphores, sharing, who waits for an edge. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static const struct {
	uint64_t count;
	int mode;
	bool told; /* the edge was taken before */
} kinds[] = {
	{ 0, 0, true },  { 0, EFD_SEMAPHORE, true },
	{ 1, 0, true },  { 1, EFD_SEMAPHORE, true },
	{ 5, 0, true },  { 5, EFD_SEMAPHORE, true },
	{ 1, 0, false }, { 1, EFD_SEMAPHORE, false },
	{ 5, 0, false }, { 5, EFD_SEMAPHORE, false },
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

static struct {
	int fd, ep;
} edges[KINDS];

/* How many events there are, one after the other. */
static int events(int ep)
{
	struct epoll_event e;
	int n = 0;

	while (n < 9 && epoll_wait(ep, &e, 1, 0) == 1) {
		victim_check(e.events == EPOLLIN, "event %#x", e.events);
		n++;
	}
	return n;
}

static void set_up_edges(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };

	for (size_t i = 0; i < KINDS; i++) {
		int fd = eventfd(0, EFD_NONBLOCK | kinds[i].mode);
		int ep = epoll_create1(0);
		const uint64_t count = kinds[i].count;

		victim_need(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0, "epoll");
		victim_need(!count || write(fd, &count, 8) == 8, "count");
		victim_need(!kinds[i].told || events(ep) == (count > 0),
			    "the first edge");
		edges[i].fd = fd;
		edges[i].ep = ep;
	}
}

/*
 * An edge may be told again where there is something to read, as old kernels
 * tell the mode only by a read, and a restore adds what is watched anew.  None
 * is lost, and none is made up where there is nothing.
 */
static void check_edge(size_t i)
{
	const uint64_t count = kinds[i].count;
	const bool sem = kinds[i].mode;
	int n = events(edges[i].ep);
	uint64_t v = 0;

	victim_check(kinds[i].told ? n <= (count > 0) : n == 1, "%zu: %d edges",
		     i, n);
	victim_check(write(edges[i].fd, &(uint64_t){ 1 }, 8) == 8 &&
			     events(edges[i].ep) == 1,
		     "%zu: the next edge", i);
	victim_check(read(edges[i].fd, &v, 8) == 8 &&
			     v == (sem ? 1 : count + 1),
		     "%zu: %llu", i, (unsigned long long)v);
	victim_check(events(edges[i].ep) == 0, "%zu: a read is no edge", i);
	for (v = sem ? count : 0; v; v--)
		victim_check(read(edges[i].fd, &(uint64_t){ 0 }, 8) == 8,
			     "%zu: all of it", i);
	victim_check(read(edges[i].fd, &v, 8) < 0 && errno == EAGAIN,
		     "%zu: no more", i);
}

int main(void)
{
	int big = eventfd(0, EFD_NONBLOCK), sem = eventfd(3, EFD_SEMAPHORE);
	int none = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), twin = dup(sem);
	uint64_t most = UINT64_MAX - 1, v = 0;
	int status;
	pid_t child;

	victim_need(write(big, &most, 8) == 8, "count");
	set_up_edges();
	child = fork();
	if (child == 0) {
		victim_wait_go();
		victim_check(read(sem, &v, 8) == 8 && v == 1,
			     "the child takes one");
		_exit(0);
	}

	victim_wait();

	victim_need(waitpid(child, &status, 0) == child && status == 0,
		    "child");
	victim_check(write(big, &(uint64_t){ 1 }, 8) < 0 && errno == EAGAIN,
		     "it is full");
	victim_check(read(big, &v, 8) == 8 && v == most, "count %llu",
		     (unsigned long long)v);
	victim_check(read(sem, &v, 8) == 8 && v == 1 &&
			     read(twin, &v, 8) == 8 && v == 1,
		     "two more are taken, by both numbers");
	victim_check(fcntl(sem, F_SETFL, O_NONBLOCK) == 0 &&
			     read(twin, &v, 8) < 0 && errno == EAGAIN,
		     "then none is left, and flags are shared");
	victim_check(read(none, &v, 8) < 0 && errno == EAGAIN &&
			     fcntl(none, F_GETFD) == FD_CLOEXEC,
		     "an empty one");
	for (size_t i = 0; i < KINDS; i++)
		check_edge(i);
	victim_verdict(true, "eventfds count on");
}
