// SPDX-License-Identifier: GPL-2.0-or-later
/* Timerfds: relative, absolute, periodic, fired and unread, disarmed. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../lib/victim.h"

#define SECOND 1000000000ll

static int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static int arm(clockid_t clock, int flags, int64_t value, int64_t interval)
{
	struct itimerspec its = {
		.it_value = { value / SECOND, value % SECOND },
		.it_interval = { interval / SECOND, interval % SECOND },
	};
	int fd = timerfd_create(clock, TFD_NONBLOCK);

	victim_need(fd >= 0 && timerfd_settime(fd, flags, &its, NULL) == 0,
		    "timerfd");
	return fd;
}

static int64_t remaining(int fd, int64_t *interval)
{
	struct itimerspec its;

	victim_need(timerfd_gettime(fd, &its) == 0, "timerfd_gettime");
	if (interval)
		*interval = its.it_interval.tv_sec * SECOND +
			    its.it_interval.tv_nsec;
	return its.it_value.tv_sec * SECOND + its.it_value.tv_nsec;
}

static bool fires(int fd, uint64_t *ticks)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 10000) == 1 && read(fd, ticks, 8) == 8;
}

static void near(const char *what, int64_t have, int64_t want, int64_t slack)
{
	victim_check(llabs(have - want) <= slack, "%s: %lld ns off", what,
		     (long long)(have - want));
}

int main(void)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME,
					    CLOCK_BOOTTIME };
	int relative[3], absolute[3], periodic, fast, fired, off, soon, alarm;
	int64_t deadline[3], left[3], began[3], interval;
	uint64_t ticks = 0, before;

	for (int i = 0; i < 3; i++) {
		began[i] = now(clocks[i]);
		left[i] = 1000 * SECOND + 7;
		relative[i] = arm(clocks[i], 0, left[i], 5 * SECOND);
		deadline[i] = now(clocks[i]) + 2000 * SECOND;
		absolute[i] = arm(clocks[i],
				  TFD_TIMER_ABSTIME |
					  (clocks[i] == CLOCK_REALTIME
						   ? TFD_TIMER_CANCEL_ON_SET
						   : 0),
				  deadline[i], 0);
	}
	/* Only root's. */
	alarm = timerfd_create(CLOCK_BOOTTIME_ALARM, 0);
	if (alarm >= 0) {
		close(alarm);
		alarm = arm(CLOCK_BOOTTIME_ALARM, 0, left[0], 0);
	}
	periodic = arm(CLOCK_MONOTONIC, 0, 1, SECOND / 1000);
	/* Fires again before anybody can look at it. */
	fast = arm(CLOCK_MONOTONIC, 0, 1, 1000);
	fired = arm(CLOCK_REALTIME, 0, 1, 0);
	off = arm(CLOCK_BOOTTIME, 0, 0, 0);
	victim_nap(30000000);
	before = (uint64_t)(now(CLOCK_MONOTONIC) - began[0]) / (SECOND / 1000);
	soon = arm(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME,
		   now(CLOCK_MONOTONIC) + SECOND / 20, 0);

	victim_wait();

	for (int i = 0; i < 3; i++) {
		near("absolute", now(clocks[i]) + remaining(absolute[i], NULL),
		     deadline[i], SECOND / 100);
		/* Not counted: how long the job did not exist. */
		victim_check(remaining(relative[i], &interval) <= left[i] &&
				     remaining(relative[i], NULL) >
					     left[i] - 60 * SECOND &&
				     interval == 5 * SECOND,
			     "relative, clock %d: %lld", clocks[i],
			     (long long)remaining(relative[i], NULL));
	}
	near("relative on a clock that went on",
	     remaining(relative[0], NULL) + now(CLOCK_MONOTONIC),
	     began[0] + left[0], SECOND / 20);
	victim_check(alarm < 0 ||
			     (remaining(alarm, NULL) <= left[0] &&
			      remaining(alarm, NULL) > left[0] - 60 * SECOND),
		     "an alarm clock");
	victim_check(read(periodic, &ticks, 8) == 8 && ticks >= before - 2,
		     "%llu ticks, at least %llu expected",
		     (unsigned long long)ticks, (unsigned long long)before);
	victim_check(fires(periodic, &ticks), "a periodic timer goes on");
	victim_check(fires(fast, &ticks) && fires(fast, &ticks),
		     "a periodic timer of a microsecond goes on");
	victim_check(read(fired, &ticks, 8) == 8 && ticks == 1 &&
			     remaining(fired, NULL) == 0,
		     "one that fired and was not read");
	victim_check(read(off, &ticks, 8) < 0 && errno == EAGAIN &&
			     remaining(off, NULL) == 0,
		     "one that is off");
	victim_check(fires(soon, &ticks) && ticks == 1, "one that fires soon");
	victim_verdict(true, "timers go on");
}
