/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "operation/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

const char *const counter_causes[COUNT_CAUSES] = {
	[COUNT_PREEMPT] = "preempt",     [COUNT_INTERVAL] = "interval",
	[COUNT_REQUEST] = "request",     [COUNT_DRAIN] = "drain",
	[COUNT_TIMELIMIT] = "timelimit", [COUNT_OTHER] = "other",
};

#define ADD(field, n) __atomic_fetch_add(&(field), (n), __ATOMIC_RELAXED)
#define SET(field, n) __atomic_store_n(&(field), (n), __ATOMIC_RELAXED)

static enum counter_cause find_cause(const char *cause)
{
	size_t i;

	for (i = 0; i < COUNT_OTHER; i++)
		if (strcmp(counter_causes[i], cause) == 0)
			break;
	return (enum counter_cause)i;
}

/* One of another build begins again; the first to come makes it. */
static int prepare(int fd)
{
	struct counters fresh = { .magic = COUNTERS_MAGIC };
	uint64_t magic = 0;
	struct stat st;
	int r = -1;

	if (flock(fd, LOCK_EX) < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_size == sizeof(fresh) &&
	    pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) &&
	    magic == COUNTERS_MAGIC)
		r = 0;
	else if (ftruncate(fd, 0) == 0 &&
		 pwrite(fd, &fresh, sizeof(fresh), 0) == sizeof(fresh))
		r = 0;
	flock(fd, LOCK_UN);
	return r;
}

/* NULL: they cannot be had. */
static struct counters *map_counters(const struct conf *conf)
{
	auto_close int fd = -EBADF;
	char path[512];
	void *p;

	snprintf(path, sizeof(path), "%s/counters", conf->run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || prepare(fd) < 0)
		return NULL;
	p = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE,
		 MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void unmap(struct counters *c)
{
	munmap(c, sizeof(*c));
}

void counters_checkpoint(const struct conf *conf, const char *cause, int result,
			 const Outcome *outcome)
{
	enum counter_cause at = find_cause(cause);
	struct counters *c = map_counters(conf);

	if (!c)
		return;
	if (outcome) {
		ADD(c->made[at], 1);
		ADD(c->bytes, outcome->page_bytes);
		SET(c->last_frozen_ns, outcome->frozen_ns);
		SET(c->last_total_ns, outcome->total_ns);
		SET(c->last_at_ns, clock_ns(CLOCK_REALTIME));
	} else if (result == -ENOTSUP) {
		ADD(c->refused[at], 1);
	} else {
		ADD(c->failed[at], 1);
	}
	unmap(c);
}

void counters_restore(const struct conf *conf, int result)
{
	struct counters *c = map_counters(conf);

	if (!c)
		return;
	if (result < 0)
		ADD(c->restores_failed, 1);
	else
		ADD(c->restored, 1);
	unmap(c);
}

void counters_read(const struct conf *conf, struct counters *ret)
{
	struct counters *c = map_counters(conf);

	memset(ret, 0, sizeof(*ret));
	if (!c)
		return;
	*ret = *c;
	unmap(c);
}
