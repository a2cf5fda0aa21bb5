/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "operation/aside.h"
#include "storage/attempts.h"
#include "tests/lib/tap.h"

static struct user_id self(void)
{
	static gid_t groups[1];

	groups[0] = getegid();
	return (struct user_id){ .uid = geteuid(),
				 .gid = getegid(),
				 .ngroups = 1,
				 .groups = groups };
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static bool has(const char *dir, const char *name, const char *text)
{
	char path[512], found[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		return text == NULL;
	(void)!fread(found, 1, sizeof(found) - 1, f);
	fclose(f);
	return text && strcmp(found, text) == 0;
}

static void test_book(const char *dir)
{
	struct user_id user = self();
	struct attempts a = { 3, 4, 5, 2, 1 }, b;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct err err = { 0 };
	char path[512];

	ok(attempts_read(fd, &user, &b, &err) == 0 && !b.count && !b.bad_to,
	   "without a file nothing is known");
	ok(attempts_write(fd, &user, &a, &err) == 0 &&
		   attempts_read(fd, &user, &b, &err) == 0 &&
		   memcmp(&a, &b, sizeof(a)) == 0,
	   "what was written is read: %s", err.text);
	put(dir, "attempts", "jobcr attempts 1: 1 2 x");
	ok(attempts_read(fd, &user, &b, &err) == 0 && !b.bad_from,
	   "half a file is none");
	snprintf(path, sizeof(path), "%s/attempts", dir);
	unlink(path);
	ok(mkfifo(path, 0600) == 0 && attempts_read(fd, &user, &b, &err) == 0 &&
		   !b.count,
	   "a FIFO in its place is not waited for");
	ok(attempts_write(fd, &user, &a, &err) == 0 &&
		   attempts_read(fd, &user, &b, &err) == 0 && b.count == 2,
	   "and replaced: %s", err.text);
	close(fd);
}

static void make_generation(int fd, const char *dir, const char *name)
{
	char path[64];

	mkdirat(fd, name, 0700);
	snprintf(path, sizeof(path), "%s/manifest", name);
	put(dir, path, "");
}

static uint32_t choose(int fd, uint32_t from, uint32_t to)
{
	struct attempts a = { .bad_from = from, .bad_to = to };
	struct user_id user = self();
	struct err err = { 0 };
	uint32_t found = 99;

	return attempts_choose(fd, &user, &a, &found, &err) < 0 ? 98 : found;
}

static void test_choose(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	ok(choose(fd, 0, 0) == 0, "no snapshot, none to choose");
	make_generation(fd, dir, "0000000002");
	make_generation(fd, dir, "0000000003");
	mkdirat(fd, "0000000004", 0700);
	ok(choose(fd, 0, 0) == 3, "the newest complete one");
	ok(choose(fd, 3, 3) == 2, "the one before a bad one");
	ok(choose(fd, 2, 3) == 0, "none when all are bad");
	ok(choose(fd, 1, 2) == 3, "one newer than the bad ones");
	close(fd);
}

static void test_aside(const char *dir)
{
	struct user_id user = self();
	struct err err = { 0 };
	char path[512];

	snprintf(path, sizeof(path), "%s/out", dir);
	put(dir, "out", "job");
	ok(aside_put(path, "7", &user, &err) == 0 && has(dir, "out", NULL) &&
		   has(dir, ".out.jobcr-7", "job"),
	   "an output file is put aside: %s", err.text);
	ok(aside_undo(path, "7", &user, &err) == 0 && has(dir, "out", "job") &&
		   has(dir, ".out.jobcr-7", NULL),
	   "and is back: %s", err.text);
	ok(aside_undo(path, "7", &user, &err) == 0 && has(dir, "out", "job"),
	   "twice does no harm");
	put(dir, ".out.jobcr-7", "old");
	ok(aside_undo(path, "7", &user, &err) == 0 && has(dir, "out", "job") &&
		   has(dir, ".out.jobcr-7", "old"),
	   "what lies aside of another time replaces nothing");
	ok(aside_take_back(path, "7", &user, &err) == 0 &&
		   has(dir, "out", "old"),
	   "but at a restore it does");
}

int main(void)
{
	char dir[] = "/tmp/jobcr-attempts.XXXXXX";
	char command[64];

	if (!mkdtemp(dir))
		skip_all("mkdtemp: %s", strerror(errno));
	test_book(dir);
	test_choose(dir);
	test_aside(dir);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
	return done_testing();
}
