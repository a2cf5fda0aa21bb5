/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

/* More than all who wait can be ahead: the clock began anew. */
#define AHEAD_MAX (600 * NSEC_PER_SEC)

/*
 * Not the level but when the bucket will have been full: one word says it,
 * and nobody need hold a lock, nor fill it from time to time.
 */
struct bucket {
	uint64_t rate;
	uint64_t *full_at; /* shared */
};

int bucket_open(const char *path, uint64_t rate, struct bucket **ret,
		struct err *err)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
				 0600);
	struct bucket *b;
	struct stat st;
	void *at;

	if (rate < BUCKET_RATE_MIN)
		return err_set(err, -EINVAL, "a bandwidth of %llu bytes",
			       (unsigned long long)rate);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return err_set(err, -EPERM, "%s is not ours: remove it", path);
	if (ftruncate(fd, sizeof(*b->full_at)) < 0)
		return err_sys(err, "%s", path);
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_num(err, ENOMEM, "%s", path);
	at = mmap(NULL, sizeof(*b->full_at), PROT_READ | PROT_WRITE, MAP_SHARED,
		  fd, 0);
	if (at == MAP_FAILED) {
		free(b);
		return err_sys(err, "%s: map", path);
	}
	b->rate = rate;
	b->full_at = at;
	*ret = b;
	return 0;
}

uint64_t bucket_take(struct bucket *b, uint64_t bytes)
{
	const uint64_t size = NSEC_PER_SEC / 4;
	const uint64_t cost =
		(uint64_t)((double)bytes / (double)b->rate * NSEC_PER_SEC);
	const uint64_t now = clock_monotonic_ns();
	uint64_t was = __atomic_load_n(b->full_at, __ATOMIC_RELAXED), from;

	do
		from = was < now || was - now > AHEAD_MAX ? now : was;
	while (!__atomic_compare_exchange_n(b->full_at, &was, from + cost,
					    true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	return from + cost < now + size ? now : from + cost - size;
}

void bucket_free(struct bucket *b)
{
	if (!b)
		return;
	(void)munmap(b->full_at, sizeof(*b->full_at));
	free(b);
}
