/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files of a job's directory, where the user may have put anything. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "storage/small.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define LONG 100000

static void test_whole(int dir)
{
	static char big[LONG], back[LONG + 2];
	struct err err = { 0 };
	struct stat st;

	memset(big, 'b', sizeof(big));
	ok(small_read(dir, NULL, "f", back, sizeof(back), &err) == -ENOENT,
	   "there is none");
	ok(small_write(dir, NULL, "f", "", 0, &err) == 0 &&
		   small_read(dir, NULL, "f", back, sizeof(back), &err) == 0 &&
		   !*back,
	   "an empty one is read as such: %s", err.text);
	ok(small_write(dir, NULL, "f", big, LONG, &err) == 0 &&
		   small_read(dir, NULL, "f", back, sizeof(back), &err) == 0 &&
		   strlen(back) == LONG,
	   "a long one replaces it: %s", err.text);
	ok(small_read(dir, NULL, "f", back, 1, &err) == 0 && !*back,
	   "no more is read than there is room for");
	ok(fstatat(dir, "f", &st, 0) == 0 && (st.st_mode & 07777) == 0600,
	   "nobody else may read it");
	ok(faccessat(dir, "f.new", F_OK, 0) < 0, "nothing is left beside it");
}

/* A file that is there stays as it is when its successor finds no room. */
static void test_full(int dir)
{
	const struct rlimit none = { 2, RLIM_INFINITY };
	struct rlimit old;
	char back[16];
	struct err err = { 0 };

	(void)small_write(dir, NULL, "f", "old", 3, &err);
	getrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	ok(small_write(dir, NULL, "f", "fresh", 5, &err) == -EFBIG,
	   "without room it fails: %s", err.text);
	setrlimit(RLIMIT_FSIZE, &old);
	ok(small_read(dir, NULL, "f", back, sizeof(back), &err) == 0 &&
		   !strcmp(back, "old") && faccessat(dir, "f.new", F_OK, 0) < 0,
	   "and the old one stands, with nothing beside it");
}

static void test_traps(int dir)
{
	char name[80], back[16];
	struct err err = { 0 };

	(void)small_write(dir, NULL, "victim", "mine", 4, &err);
	(void)unlinkat(dir, "f", 0);
	ok(symlinkat("victim", dir, "f") == 0 &&
		   symlinkat("victim", dir, "f.new") == 0 &&
		   small_read(dir, NULL, "f", back, sizeof(back), &err) ==
			   -EBADMSG,
	   "a link is not read: %s", err.text);
	ok(small_write(dir, NULL, "f", "x", 1, &err) == 0 &&
		   small_read(dir, NULL, "victim", back, sizeof(back), &err) ==
			   0 &&
		   !strcmp(back, "mine"),
	   "nor written through: %s", err.text);
	ok(mkfifoat(dir, "pipe", 0600) == 0 &&
		   small_read(dir, NULL, "pipe", back, sizeof(back), &err) ==
			   -EBADMSG,
	   "a FIFO is not waited for: %s", err.text);
	ok(small_write(dir, NULL, "pipe", "x", 1, &err) == 0 &&
		   small_read(dir, NULL, "pipe", back, sizeof(back), &err) == 0,
	   "but replaced: %s", err.text);
	ok(mkdirat(dir, "dir", 0700) == 0 &&
		   small_write(dir, NULL, "dir", "x", 1, &err) == -EISDIR &&
		   small_read(dir, NULL, "dir", back, sizeof(back), &err) ==
			   -EBADMSG,
	   "a directory stays: %s", err.text);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	ok(small_write(dir, NULL, name, "x", 1, &err) == -ENAMETOOLONG,
	   "a name that is too long is refused: %s", err.text);
}

int main(void)
{
	static const char *const left[] = { "f", "victim", "pipe" };
	char path[] = "/tmp/jobcr-small.XXXXXX";
	auto_close int dir = -EBADF;

	if (!mkdtemp(path))
		return 99;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_whole(dir);
	test_full(dir);
	test_traps(dir);
	for (size_t i = 0; i < ARRAY_SIZE(left); i++)
		(void)unlinkat(dir, left[i], 0);
	(void)unlinkat(dir, "dir", AT_REMOVEDIR);
	ok(rmdir(path) == 0, "nothing else is left");
	return done_testing();
}
