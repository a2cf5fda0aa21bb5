/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that share a bandwidth have it together, and use it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/bucket.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define RATE    (64u << 20)
#define PIECE   (1u << 20)
#define PIECES  16u /* of each process */
#define WRITERS 3u

static char dir[] = "/tmp/jobcr-bucket.XXXXXX";
static char path[64];

static struct bucket *open_bucket(void)
{
	struct bucket *b = NULL;
	struct err err = { 0 };

	if (bucket_open(path, RATE, &b, &err) < 0)
		diag("%s", err.text);
	return b;
}

/* When the last of its tokens are there, as seconds after begin. */
static int take_all(uint64_t begin, int out)
{
	struct bucket *b = open_bucket();
	uint64_t last = 0;

	if (!b)
		return 1;
	for (unsigned int i = 0; i < PIECES; i++) {
		uint64_t at = bucket_take(b, PIECE);

		last = at > last ? at : last;
	}
	bucket_free(b);
	last = last > begin ? last - begin : 0;
	return write(out, &last, sizeof(last)) != sizeof(last);
}

static void test_share(void)
{
	const double all = WRITERS * PIECES * (double)PIECE / RATE;
	const uint64_t begin = clock_monotonic_ns();
	uint64_t last = 0, one;
	int fds[2], status, bad = 0;

	if (pipe(fds) < 0)
		return;
	for (unsigned int i = 0; i < WRITERS; i++)
		if (fork() == 0)
			_exit(take_all(begin, fds[1]));
	for (unsigned int i = 0; i < WRITERS; i++) {
		bad |= wait(&status) < 0 || status != 0;
		bad |= read(fds[0], &one, sizeof(one)) != sizeof(one);
		last = one > last ? one : last;
	}
	ok(!bad, "three processes take tokens");
	/* What the bucket holds at first is had at once. */
	ok((double)last / NSEC_PER_SEC >= all - 0.26,
	   "no more than the rate in all: %.3f s", (double)last / NSEC_PER_SEC);
	ok((double)last / NSEC_PER_SEC < all,
	   "and no less, since none of them waited");
}

static void test_burst(void)
{
	struct bucket *b = open_bucket();
	uint64_t now;

	unlink(path);
	bucket_free(b);
	b = open_bucket();
	now = clock_monotonic_ns();
	ok(b && bucket_take(b, RATE / 8) <= clock_monotonic_ns(),
	   "a full bucket gives a quarter of a second's worth at once");
	ok(b && bucket_take(b, RATE) > now + NSEC_PER_SEC / 2,
	   "more than that is waited for");
	bucket_free(b);
}

/* Of another boot, when the clock was higher. */
static void test_far(void)
{
	const uint64_t far = clock_monotonic_ns() + 9999 * NSEC_PER_SEC;
	FILE *f = fopen(path, "w");
	struct bucket *b;

	if (f) {
		(void)fwrite(&far, sizeof(far), 1, f);
		(void)fclose(f);
	}
	b = open_bucket();
	ok(b && bucket_take(b, PIECE) <= clock_monotonic_ns(),
	   "nobody waits for what is left of another boot");
	bucket_free(b);
}

static void test_refused(void)
{
	struct bucket *b = NULL;
	struct err err = { 0 };

	ok(bucket_open(path, 1000, &b, &err) == -EINVAL,
	   "too low a rate is refused: %s", err.text);
	ok(bucket_open("/proc/none/there", RATE, &b, &err) < 0,
	   "and a file that cannot be made: %s", err.text);
	unlink(path);
	ok(symlink("/etc/hostname", path) == 0 &&
		   bucket_open(path, RATE, &b, &err) < 0,
	   "and a link: %s", err.text);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/bandwidth", dir);
	test_share();
	test_burst();
	test_far();
	test_refused();
	unlink(path);
	rmdir(dir);
	return done_testing();
}
