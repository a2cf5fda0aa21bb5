// SPDX-License-Identifier: GPL-2.0-or-later
/* Eventfds: the largest count, semaphores, sharing. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

int main(void)
{
	int big = eventfd(0, EFD_NONBLOCK), sem = eventfd(3, EFD_SEMAPHORE);
	int none = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), twin = dup(sem);
	uint64_t most = UINT64_MAX - 1, v = 0;
	int status;
	pid_t child;

	victim_need(write(big, &most, 8) == 8, "count");
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
	victim_verdict(true, "eventfds count on");
}
