/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "victim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

unsigned int victim_interrupts;

const char *victim_path(const char *name)
{
	static __thread char path[4096];
	const char *dir = getenv("VICTIM_DIR");

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : ".", name);
	return path;
}

/* One write, so that children may say things at the same time. */
static void say(const char *name, const char *text)
{
	int fd = open(victim_path(name),
		      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	size_t len = strlen(text);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		_exit(99);
	close(fd);
}

void victim_nap(uint64_t ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000),
	};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		victim_interrupts++;
}

void victim_wait_go(void)
{
	while (access(victim_path("go"), F_OK) < 0)
		victim_nap(2000000);
}

void victim_wait(void)
{
	say("ready", "wait\n");
	victim_wait_go();
}

void victim_wait_refused(const char *text)
{
	char line[512];

	snprintf(line, sizeof(line), "refused %s\n", text);
	say("ready", line);
	victim_wait_go();
}

bool victim_check(bool pass, const char *fmt, ...)
{
	char what[400], line[440];
	va_list ap;

	if (pass)
		return true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "wrong: %s\n", what);
	say("wrong", line);
	return false;
}

void victim_verdict(bool pass, const char *fmt, ...)
{
	char what[400], line[440];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (access(victim_path("wrong"), F_OK) == 0)
		pass = false;
	snprintf(line, sizeof(line), "%s %s\n", pass ? "pass" : "fail", what);
	say("verdict", line);
	_exit(pass ? 0 : 1);
}

void victim_skip(const char *fmt, ...)
{
	char what[400], line[440];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "skip %s\n", what);
	say("ready", line);
	_exit(0);
}

bool victim_kernel(unsigned int major, unsigned int minor)
{
	unsigned int has_major = 0, has_minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &has_major, &has_minor);
	return has_major > major || (has_major == major && has_minor >= minor);
}

void victim_need(bool done, const char *what)
{
	if (done)
		return;
	victim_check(false, "cannot set up: %s: %s", what, strerror(errno));
	_exit(98);
}

timer_t victim_timer(int sig)
{
	struct sigevent ev;
	timer_t id;

	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = sig;
	ev._sigev_un._tid = (int)syscall(SYS_gettid);
	victim_need(timer_create(CLOCK_MONOTONIC, &ev, &id) == 0, "timer");
	return id;
}

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Turns of a loop in 20 ms of a CPU, beside a timer of that interval. */
static double turns(timer_t timer, long interval_ns)
{
	const struct itimerspec often = { { 0, interval_ns },
					  { 0, interval_ns } };
	double begin = cpu_ns(), n = 0;

	timer_settime(timer, 0, &often, NULL);
	while (cpu_ns() - begin < 2e7)
		n++;
	return n;
}

/* Others on the CPU disturb this: the most that was seen. */
double victim_timer_period(int sig, double share)
{
	const double beside_ns = 400000;
	timer_t timer = victim_timer(sig);
	double most = 0;

	for (int i = 0; i < 3; i++) {
		double alone = turns(timer, 0);
		double cost = 1 - turns(timer, (long)beside_ns) / alone;

		most = cost > most ? cost : most;
	}
	timer_delete(timer);
	return beside_ns * most / share;
}
