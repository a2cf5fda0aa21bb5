// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Epoll: 64 bits of data, edges, one-shots, entries whose number is closed
 * or used by another file, instances in instances, instances shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static void add(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	victim_need(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0, "EPOLL_CTL_ADD");
}

/* Exactly one event, with this data. */
static bool tells(int ep, uint32_t events, uint64_t data, const char *what)
{
	struct epoll_event e[4] = { 0 };
	int n = epoll_wait(ep, e, 4, 0);

	return victim_check(n == 1 && e[0].events == events &&
				    e[0].data.u64 == data,
			    "%s: %d events, %#x, %#llx", what, n, e[0].events,
			    (unsigned long long)e[0].data.u64);
}

static void silent(int ep, const char *what)
{
	struct epoll_event e;

	victim_check(epoll_wait(ep, &e, 1, 0) == 0, "%s: must be silent", what);
}

static void signal_event(int fd)
{
	victim_need(write(fd, &(uint64_t){ 1 }, 8) == 8, "eventfd");
}

struct busy_poll {
	uint32_t usecs;
	uint16_t budget;
	uint8_t prefer, pad;
};

#define GET_BUSY_POLL _IOR(0x8A, 0x02, struct busy_poll)
#define SET_BUSY_POLL _IOW(0x8A, 0x01, struct busy_poll)

struct set {
	bool busy; /* since Linux 6.9 */
	int level, edge, spent, closed, reused, outer, inner, shared;
	int event, other, kept, kept2, number, file;
	int ends[2];
};

static void set_up(struct set *s)
{
	const struct busy_poll p = { .usecs = 77, .budget = 11, .prefer = 1 };
	struct epoll_event e;
	int fd;

	s->level = epoll_create1(0);
	s->busy = ioctl(s->level, SET_BUSY_POLL, &p) == 0;
	s->edge = epoll_create1(EPOLL_CLOEXEC);
	s->spent = epoll_create1(0);
	s->closed = epoll_create1(0);
	s->reused = epoll_create1(0);
	s->outer = epoll_create1(0);
	s->inner = epoll_create1(0);
	s->shared = epoll_create1(0);
	s->event = eventfd(0, EFD_NONBLOCK);
	s->other = eventfd(0, EFD_NONBLOCK);
	victim_need(pipe(s->ends) == 0, "pipe");
	add(s->level, s->event, EPOLLIN, 0xfedcba9876543210ull);
	add(s->level, s->ends[0], EPOLLIN | EPOLLEXCLUSIVE, 2);
	add(s->edge, s->event, EPOLLIN | EPOLLET, 3);
	add(s->spent, s->event, EPOLLOUT | EPOLLONESHOT, 4);
	victim_need(epoll_wait(s->spent, &e, 1, 0) == 1, "one shot");
	/* Known by a number that is closed; then by one that is another's. */
	fd = eventfd(0, EFD_NONBLOCK);
	s->kept = fcntl(fd, F_DUPFD, 200);
	add(s->closed, fd, EPOLLIN, 5);
	close(fd);
	s->number = eventfd(0, EFD_NONBLOCK);
	s->kept2 = dup(s->number);
	add(s->reused, s->number, EPOLLIN, 6);
	s->file = open(victim_path("file"), O_RDWR | O_CREAT, 0600);
	victim_need(dup2(s->file, s->number) == s->number, "dup2");
	close(s->file);
	add(s->inner, s->other, EPOLLIN, 7);
	add(s->outer, s->inner, EPOLLIN, 8);
	add(s->shared, s->other, EPOLLIN, 9);
}

static void check_busy_poll(const struct set *s)
{
	struct busy_poll p = { 0 };

	victim_check(ioctl(s->level, GET_BUSY_POLL, &p) == 0 && p.usecs == 77 &&
			     p.budget == 11 && p.prefer == 1,
		     "EPIOCSPARAMS: %u us, %u packets, %u", p.usecs, p.budget,
		     p.prefer);
	victim_check(ioctl(s->edge, GET_BUSY_POLL, &p) == 0 && !p.usecs &&
			     !p.budget && !p.prefer,
		     "of one alone");
}

static void check(const struct set *s)
{
	struct epoll_event e = { EPOLLOUT | EPOLLONESHOT, { .u64 = 40 } };

	if (s->busy)
		check_busy_poll(s);
	silent(s->level, "nothing is ready");
	silent(s->outer, "nor in the inner one");
	silent(s->spent, "one shot was spent");
	signal_event(s->event);
	tells(s->level, EPOLLIN, 0xfedcba9876543210ull, "level");
	tells(s->level, EPOLLIN, 0xfedcba9876543210ull, "level again");
	tells(s->edge, EPOLLIN, 3, "edge");
	silent(s->edge, "one edge, one event");
	victim_check(epoll_ctl(s->spent, EPOLL_CTL_MOD, s->event, &e) == 0,
		     "one shot is armed again");
	tells(s->spent, EPOLLOUT, 40, "one shot");
	signal_event(s->kept);
	tells(s->closed, EPOLLIN, 5, "an entry whose number is closed");
	silent(s->reused, "a number that is another's");
	signal_event(s->kept2);
	tells(s->reused, EPOLLIN, 6, "an entry whose number is another's");
	victim_check(write(s->number, "file", 4) == 4, "that number is a file");
	signal_event(s->other);
	tells(s->outer, EPOLLIN, 8, "an instance in an instance");
	tells(s->inner, EPOLLIN, 7, "the inner one");
	tells(s->shared, EPOLLIN, 9, "the one that is shared");
	read(s->event, &(uint64_t){ 0 }, 8);
	close(s->ends[1]);
	tells(s->level, EPOLLHUP, 2, "the end of a pipe");
}

int main(void)
{
	struct set s = { 0 };
	int status;
	pid_t child;

	set_up(&s);
	child = fork();
	if (child == 0) {
		struct epoll_event e;

		victim_wait_go();
		victim_check(epoll_wait(s.shared, &e, 1, 5000) == 1 &&
				     e.data.u64 == 9,
			     "the child is told too");
		_exit(0);
	}

	victim_wait();

	signal_event(s.other);
	victim_need(waitpid(child, &status, 0) == child && status == 0,
		    "child");
	read(s.other, &(uint64_t){ 0 }, 8);
	check(&s);
	victim_verdict(true, "what is watched is told");
}
