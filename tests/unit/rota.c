/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/rota.h"
#include "tests/lib/tap.h"

#define NODES 6
#define TURNS 50
#define EVERY 1000

static char store[] = "/tmp/jobcr-rota.XXXXXX";

static int take(uint64_t now, struct rota_seen *seen)
{
	struct err err = { 0 };
	int r = rota_take(store, "c", ".turns", EVERY, now, seen, &err);

	if (r < 0)
		diag("%s", err.text);
	return r;
}

static char *file(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/c/.turns/%s", store, name);
	return path;
}

static void make(const char *name)
{
	close(open(file(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void test_turns(void)
{
	struct rota_seen a = { 0 }, b = { 0 };

	ok(take(5, &a) == 1, "the first turn is the first node's");
	ok(take(900000, &b) == 0, "another, whose clock is far ahead, waits");
	ok(take(5 + EVERY - 1, &a) == 0 && take(900000 + EVERY - 1, &b) == 0,
	   "for as long as a turn lasts");
	ok(take(900000 + EVERY, &b) == 1, "then takes the next");
	ok(take(5 + EVERY, &a) == 0, "which the first one sees");
	ok(take(5 + 2 * EVERY, &a) == 1, "and takes the one after it");
	ok(access(file("3"), F_OK) == 0 && access(file("2"), F_OK) < 0 &&
		   access(file("1"), F_OK) < 0,
	   "turns that are over leave nothing");
}

static void test_odd(void)
{
	struct rota_seen a = { 0 }, b = { .turn = 3, .since_ns = 77 };

	ok(take(50, &b) == 0 && b.since_ns == 50,
	   "what was seen before the node was started does not count");
	make("x");
	make("-7");
	make("18446744073709551615");
	ok(take(100, &a) == 0 && a.turn == 3, "other files are passed over");
	make("18446744073709551614");
	ok(take(100, &a) == 0 && take(100 + EVERY, &a) == 0,
	   "the last number of all is no reason to ask all the time");
	unlink(file("18446744073709551614"));
	unlink(file("18446744073709551615"));
}

/* A node that looked long ago: what it would make next is over. */
static void test_stale(void)
{
	struct rota_seen a = { .turn = 3, .since_ns = 1 };

	make("5");
	ok(take(2 * EVERY, &a) == 0 && access(file("4"), F_OK) < 0,
	   "nobody goes back");
}

static void test_hostile(void)
{
	struct rota_seen a = { 0 };
	struct err err = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/c/.open", store);
	mkdir(path, 0700);
	chmod(path, 0777);
	ok(rota_take(store, "c", ".open", EVERY, 1, &a, &err) == -EPERM,
	   "a directory in which others can write is refused: %s", err.text);
	snprintf(path, sizeof(path), "%s/c/.theirs", store);
	mkdir(path, 0700);
	if (chown(path, 12345, 12345) < 0) {
		skip("a directory of another user's: not root");
		return;
	}
	ok(rota_take(store, "c", ".theirs", EVERY, 1, &a, &err) == -EPERM,
	   "so is another's: %s", err.text);
	snprintf(path, sizeof(path), "%s/c/.theirs/1", store);
	ok(access(path, F_OK) < 0, "and nothing is left in it");
}

/* All at once, as often as they can: each turn is one node's. */
static void test_together(void)
{
	int ends[2], i, t, status, all = 0, twice = 0;
	unsigned char count[8 * NODES * TURNS] = { 0 };
	uint64_t turn;

	if (pipe(ends) < 0)
		return;
	for (i = 0; i < NODES; i++) {
		struct rota_seen seen = { 0 };

		if (fork())
			continue;
		for (t = 1; t <= 4 * TURNS; t++)
			if (take((uint64_t)t * EVERY, &seen) == 1 &&
			    write(ends[1], &seen.turn, sizeof(seen.turn)) < 0)
				_exit(1);
		_exit(0);
	}
	while (wait(&status) > 0)
		;
	close(ends[1]);
	while (read(ends[0], &turn, sizeof(turn)) == sizeof(turn)) {
		all++;
		if (turn >= sizeof(count) || count[turn]++)
			twice++;
	}
	close(ends[0]);
	ok(all >= TURNS && !twice, "%d turns of %d nodes, %d of them twice",
	   all, NODES, twice);
}

int main(void)
{
	char command[64];

	if (!mkdtemp(store))
		return 99;
	test_turns();
	test_odd();
	test_stale();
	test_hostile();
	test_together();
	snprintf(command, sizeof(command), "rm -rf %s", store);
	ok(system(command) == 0, "nothing is left");
	return done_testing();
}
