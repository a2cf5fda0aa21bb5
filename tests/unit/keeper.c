/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run whose lease nobody knows: two keepers with beats of the test's own.
 * One's first beat hangs and is killed, so others may have seen its lease, and
 * the run stands still in time; the other's say that nothing could be written,
 * and the run goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/event.h"
#include "daemon/fence_renew.h"
#include "daemon/server.h"
#include "operation/worker.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define LEASE_S 3
#define HANGS   "71"
#define FAILS   "72"

enum word { BEAT, KILLED, STOPS, GOES_ON };

/* What keepers tell the test, each by one write. */
struct message {
	enum word word;
	bool hangs;
	uint64_t at_ns;
};

static int told[2];
static pid_t victim;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void tell(const char *job_id, enum word word)
{
	struct message m = { word, strcmp(job_id, HANGS) == 0,
			     clock_ns(CLOCK_BOOTTIME) };

	if (write(told[1], &m, sizeof(m)) != sizeof(m))
		_exit(1);
}

int control_read_info(const char *run_dir, const char *job_id,
		      struct control_info *ret, struct err *err)
{
	(void)run_dir;
	(void)err;
	*ret = (struct control_info){ .state = CONTROL_ALIVE,
				      .init_pid = victim,
				      .slurm = 1 };
	snprintf(ret->job_id, sizeof(ret->job_id), "%s", job_id);
	return 0;
}

void event_note_cause(const struct conf *conf, const struct control_info *info,
		      const char *kind, const char *cause, uint32_t generation,
		      const char *fmt, ...)
{
	(void)conf;
	(void)info;
	(void)kind;
	(void)cause;
	(void)generation;
	(void)fmt;
}

/* The tree stands still: the store is back, the next beat is answered. */
static bool store_is_back;

int renewal_start(struct renewal *r, bool release)
{
	bool hangs = strcmp(r->info->job_id, HANGS) == 0 && !store_is_back;
	int ends[2];

	(void)release;
	if (pipe(ends) < 0)
		return -errno;
	tell(r->info->job_id, BEAT);
	r->started_ns = clock_ns(CLOCK_BOOTTIME);
	r->pid = 1;
	r->fd = ends[0];
	if (!hangs)
		close(ends[1]);
	return 0;
}

int renewal_finish(struct renewal *r)
{
	close(r->fd);
	r->pid = 0;
	if (!store_is_back)
		return -EIO;
	r->lease.epoch = 1;
	return 0;
}

bool renewal_kill(struct renewal *r)
{
	tell(r->info->job_id, KILLED);
	close(r->fd);
	r->pid = 0;
	return true;
}

int worker_run(const struct conf *conf, const WorkerRequest *req,
	       const struct worker_hooks *hooks, Reply **ret, struct err *err)
{
	(void)conf;
	(void)ret;
	tell(req->job_id, STOPS);
	store_is_back = true;
	if (!hooks->proceed(hooks->arg))
		tell(req->job_id, GOES_ON);
	return err_set(err, -EIO, "no worker in this test");
}

/* The next that is of that kind; false: not within four leases. */
static bool hear(enum word word, bool hangs, struct message *ret)
{
	uint64_t until = clock_ns(CLOCK_BOOTTIME) + 4 * LEASE_S * NSEC_PER_SEC;
	struct pollfd fd = { told[0], POLLIN, 0 };

	while (poll(&fd, 1, 4000 * LEASE_S) == 1 &&
	       read(told[0], ret, sizeof(*ret)) == sizeof(*ret) &&
	       ret->at_ns < until) {
		if (ret->word == word && ret->hangs == hangs)
			return true;
		if (ret->word == STOPS && ret->hangs != hangs)
			return false;
	}
	return false;
}

static double since(const struct message *m, const struct message *first)
{
	return (double)(m->at_ns - first->at_ns) / 1e9;
}

static void test_killed(const struct conf *conf)
{
	struct message first, m;
	double s;

	if (fence_pass(conf) < 0)
		die("no keepers");
	ok(hear(BEAT, true, &first), "a first beat hangs");
	ok(hear(KILLED, true, &m) && since(&m, &first) >= LEASE_S / 3.0,
	   "a third of the lease later it is killed");
	ok(hear(STOPS, true, &m), "then its run has to stand still");
	s = since(&m, &first);
	ok(s >= LEASE_S / 3.0 && s < LEASE_S,
	   "before a lease that was written could end");
	diag("after %.2f s", s);
	ok(hear(GOES_ON, true, &m), "it goes on as soon as the lease is known");
}

static void test_failed(const struct conf *conf)
{
	struct message first, m;

	if (fence_pass(conf) < 0)
		die("no keepers");
	ok(hear(BEAT, false, &first), "another first beat fails");
	do {
		if (!hear(BEAT, false, &m)) {
			ok(false, "its run goes on, as nobody saw a lease");
			return;
		}
	} while (since(&m, &first) < 2 * LEASE_S);
	ok(true, "its run goes on, as nobody saw a lease");
}

/* One keeper for the job, with a process that stands for its first one. */
static void with_job(const struct conf *conf, const char *job_id,
		     void (*test)(const struct conf *))
{
	char path[512];

	snprintf(path, sizeof(path), "%s/jobs/%s", conf->run_dir, job_id);
	victim = fork();
	if (victim == 0) {
		pause();
		_exit(0);
	}
	if (victim < 0 || mkdir(path, 0700) < 0)
		die(path);
	test(conf);
	kill(victim, SIGKILL);
	(void)waitpid(victim, NULL, 0);
	(void)wait(NULL); /* the keeper, which has nothing to keep */
	snprintf(path, sizeof(path), "rm -rf %s/jobs/%s", conf->run_dir,
		 job_id);
	if (system(path))
		exit(1);
}

int main(void)
{
	char dir[] = "/tmp/jobcr-test.XXXXXX", path[64];
	struct conf conf = { .lease_s = LEASE_S, .run_dir = dir };

	if (!mkdtemp(dir) || pipe(told) < 0)
		die(dir);
	snprintf(path, sizeof(path), "%s/jobs", dir);
	if (mkdir(path, 0700) < 0)
		die(path);
	with_job(&conf, HANGS, test_killed);
	with_job(&conf, FAILS, test_failed);
	rmdir(path);
	rmdir(dir);
	return done_testing();
}
