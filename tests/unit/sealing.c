/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * munged is restarted just when a manifest gets its seal, or is looked at.  It,
 * and time, are the test's own.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "snapshot/seal.h"
#include "tests/lib/tap.h"
#include "util/clock.h"
#include "worker/worker.h"

static uint64_t now_ns; /* how long it has been waited */
static uint64_t back_ns;
static int without; /* what is said while it is away */
static bool interrupted;

int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_nanosleep(const struct timespec *pause, struct timespec *left);

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	(void)id;
	ret->tv_sec = (time_t)(now_ns / NSEC_PER_SEC);
	ret->tv_nsec = (long)(now_ns % NSEC_PER_SEC);
	return 0;
}

int __wrap_nanosleep(const struct timespec *pause, struct timespec *left)
{
	(void)left;
	now_ns += (uint64_t)pause->tv_sec * NSEC_PER_SEC +
		  (uint64_t)pause->tv_nsec;
	return interrupted ? -1 : 0;
}

static int ask(struct err *err)
{
	return now_ns >= back_ns ? 0 : err_set(err, without, "munge: away");
}

int seal_try(const char *socket, struct err *err)
{
	(void)socket;
	return ask(err);
}

int seal_add(const char *socket, uint8_t **data, size_t *len, struct err *err)
{
	(void)socket;
	(void)data;
	(void)len;
	return ask(err);
}

int seal_check(const char *socket, const uint8_t *data, size_t len,
	       struct err *err)
{
	(void)socket;
	(void)data;
	(void)len;
	return ask(err);
}

enum moment { TRY, TRY_ENDING, ADD, CHECK };

static int seal(enum moment at, int error, unsigned int away_s,
		struct err *ret_err)
{
	WorkerRequest req = WORKER_REQUEST__INIT;
	struct work w = { .req = &req };
	uint8_t *manifest = NULL;
	size_t len = 0;

	req.has_seal = req.seal = 1;
	req.has_kill = req.kill = at == TRY_ENDING;
	now_ns = 0;
	back_ns = away_s * NSEC_PER_SEC;
	without = error;
	*ret_err = (struct err){ 0 };
	return at == ADD     ? work_add_seal(&w, &manifest, &len, ret_err)
	       : at == CHECK ? work_check_seal(&w, manifest, len, ret_err)
			     : work_try_seal(&w, ret_err);
}

static unsigned int waited_s(void)
{
	return (unsigned int)(now_ns / NSEC_PER_SEC);
}

int main(void)
{
	struct err err;
	int r;

	ok(seal(ADD, -EACCES, 0, &err) == 0 && !now_ns,
	   "with munged nothing is waited for");
	ok(seal(ADD, -EACCES, 50, &err) == 0 && waited_s() == 50,
	   "who is saved waits for it: %s", err.text);
	r = seal(ADD, -EACCES, 1000, &err);
	ok(r == -EACCES && waited_s() == 60 && strstr(err.text, "away"),
	   "for a minute, and then says why not: %s", err.text);
	ok(seal(ADD, -ENOMEM, 5, &err) == -ENOMEM && !now_ns,
	   "not for what does not pass");
	ok(seal(CHECK, -ENOKEY, 8, &err) == 0 && waited_s() == 8,
	   "so does who is restored: %s", err.text);
	r = seal(CHECK, -ENOKEY, 1000, &err);
	ok(r == -ENOKEY && waited_s() == 10 && strstr(err.text, "away"),
	   "for ten seconds: %s", err.text);
	ok(seal(CHECK, -EKEYREJECTED, 5, &err) == -EKEYREJECTED && !now_ns,
	   "a wrong seal is one at once");
	ok(seal(TRY, -EACCES, 5, &err) == -EACCES && !now_ns,
	   "before a job is stopped that goes on nobody waits");
	ok(seal(TRY_ENDING, -EACCES, 8, &err) == 0 && waited_s() == 8,
	   "but for one that ends: %s", err.text);
	ok(seal(TRY_ENDING, -EACCES, 1000, &err) == -EACCES && waited_s() == 10,
	   "for ten seconds, too");
	interrupted = true;
	ok(seal(ADD, -EACCES, 5, &err) == -EACCES && waited_s() < 5,
	   "nor does who is told to end");
	return done_testing();
}
