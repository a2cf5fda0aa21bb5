/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/slots.h"
#include "tests/lib/tap.h"
#include "util/clock.h"

#define WRITERS 4
#define TURNS   25

static char store[] = "/tmp/jobcr-slots.XXXXXX";

static struct slots *open_slots(unsigned int count)
{
	struct slots *s = NULL;
	struct err err = { 0 };

	if (slots_open(store, "c", count, &s, &err) < 0)
		diag("%s", err.text);
	return s;
}

static char *writers(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/c/.writers/%s", store, name);
	return path;
}

static void test_one(void)
{
	struct slots *a = open_slots(1), *b = open_slots(1);
	struct slot first, second;
	struct err err = { 0 };
	uint64_t now = 5;

	ok(slots_take(a, now, "a", &first, &err) == 0, "a slot is taken: %s",
	   err.text);
	ok(slots_take(b, now, "b", &second, &err) == -EAGAIN,
	   "another finds none: %s", err.text);
	slots_release(a, &first);
	ok(slots_take(b, now, "b", &second, &err) == 0,
	   "... until it is released: %s", err.text);
	ok(access(writers("0.1"), F_OK) < 0 &&
		   access(writers("0.2"), F_OK) == 0,
	   "the terms before are forgotten");
	slots_release(b, &second);
	slots_free(a);
	slots_free(b);
}

static void test_dead_holder(void)
{
	struct slots *a = open_slots(1), *b = open_slots(1);
	struct slot dead, heir;
	struct err err = { 0 };
	uint64_t now = 7;

	ok(slots_take(a, now, "a", &dead, &err) == 0, "held: %s", err.text);
	ok(slots_take(b, now, "b", &heir, &err) == -EAGAIN &&
		   slots_take(b, now + SLOTS_LEASE - 1, "b", &heir, &err) ==
			   -EAGAIN,
	   "a holder is given time");
	ok(slots_beat(a, &dead, &err) == 0 &&
		   slots_take(b, now + SLOTS_LEASE, "b", &heir, &err) ==
			   -EAGAIN,
	   "a sign of life, and it is given more: %s", err.text);
	now += 2 * SLOTS_LEASE;
	ok(slots_take(b, now, "b", &heir, &err) == 0,
	   "a dead one's slot is free: %s", err.text);
	ok(slots_beat(a, &dead, &err) == -ESTALE,
	   "one that was only away is told: %s", err.text);
	slots_release(a, &dead);
	ok(slots_take(a, now, "a", &dead, &err) == -EAGAIN,
	   "and gives nothing back that is not its own");
	slots_release(b, &heir);
	slots_free(a);
	slots_free(b);
}

static void make_file(const char *name)
{
	int fd = open(writers(name), O_WRONLY | O_CREAT, 0600);

	if (fd >= 0)
		close(fd);
}

static void test_hostile(void)
{
	static const char *const names[] = {
		"x",  "0.",   "0.-1",    "1.1",          "0.0",
		".1", "0.7x", "99999.1", "0.99999999999"
	};
	struct slots *a = open_slots(1);
	struct slot slot;
	struct err err = { 0 };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		make_file(names[i]);
	ok(slots_take(a, 1, "a", &slot, &err) == 0,
	   "names that are not ours do not count: %s", err.text);
	slots_release(a, &slot);
	ok(mkfifo(writers("0.50"), 0600) == 0 &&
		   slots_take(a, 1, "a", &slot, &err) == -EAGAIN &&
		   slots_take(a, 1 + SLOTS_LEASE, "a", &slot, &err) == 0,
	   "a fifo is a dead holder: %s", err.text);
	slots_release(a, &slot);
	ok(symlink("/dev/zero", writers("0.60")) == 0 &&
		   slots_take(a, 1, "a", &slot, &err) == -EAGAIN &&
		   slots_take(a, 1 + SLOTS_LEASE, "a", &slot, &err) == 0,
	   "so is a link: %s", err.text);
	slots_release(a, &slot);
	make_file("0.70");
	ok(slots_take(a, 1, "a", &slot, &err) == -EAGAIN &&
		   slots_take(a, 1 + SLOTS_LEASE, "a", &slot, &err) == 0 &&
		   slot.term == 71,
	   "and an empty file: %s", err.text);
	slots_release(a, &slot);
	slots_free(a);
}

static void test_distrust(void)
{
	struct slots *s = NULL;
	struct slot slot;
	struct err err = { 0 };

	chmod(writers(""), 0777);
	ok(slots_open(store, "c", 1, &s, &err) == -EPERM,
	   "a directory that others can write to: %s", err.text);
	chmod(writers(""), 0700);
	if (geteuid() != 0) {
		skip("giving a directory away needs root");
		return;
	}
	ok(chown(writers(""), 12345, 12345) == 0 && (s = open_slots(1)) &&
		   slots_take(s, 1, "a", &slot, &err) == -EPERM,
	   "a directory of somebody else: %s", err.text);
	slots_free(s);
	ok(chown(writers(""), 0, 0) == 0, "it is ours again");
}

/* More than two holders at a time would meet at the files in/0 and in/1. */
static int be_writer(int inside)
{
	struct slots *s = open_slots(2);
	struct slot slot;
	struct err err = { 0 };
	char name[32];
	int turn, i, fd = -1;

	for (turn = 0; s && turn < TURNS; turn++) {
		while (slots_take(s, clock_monotonic_ns(), "w", &slot, &err) ==
		       -EAGAIN)
			usleep(500);
		for (i = 0, fd = -1; fd < 0 && i < 2; i++) {
			snprintf(name, sizeof(name), "%d", i);
			fd = openat(inside, name, O_CREAT | O_EXCL, 0600);
		}
		if (fd < 0 || err.code == -EPERM)
			return 1;
		close(fd);
		usleep(1000);
		unlinkat(inside, name, 0);
		slots_release(s, &slot);
	}
	slots_free(s);
	return !s;
}

static void test_many(void)
{
	char path[256];
	int i, inside, status, bad = 0;

	snprintf(path, sizeof(path), "%s/in", store);
	mkdir(path, 0700);
	inside = open(path, O_RDONLY | O_DIRECTORY);
	for (i = 0; i < WRITERS; i++)
		if (fork() == 0)
			_exit(be_writer(inside));
	while (wait(&status) > 0)
		bad += status != 0;
	ok(!bad, "%d processes, two slots: never three at a time (%d saw more)",
	   WRITERS, bad);
	close(inside);
}

int main(void)
{
	char command[256];

	if (!mkdtemp(store))
		return 99;
	test_one();
	test_dead_holder();
	test_hostile();
	test_distrust();
	test_many();
	snprintf(command, sizeof(command), "rm -rf %s", store);
	ok(system(command) == 0, "nothing is left");
	return done_testing();
}
