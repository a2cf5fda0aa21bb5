// SPDX-License-Identifier: GPL-2.0-or-later
/* Files on a file system of the node: what a restore finds at their paths. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/rig.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static char dir[] = "/tmp/jobcr-local.XXXXXX";

static const char *at(const char *name)
{
	static char path[16][128];
	static int next;
	char *ret = path[next++ % 16];

	snprintf(ret, sizeof(path[0]), "%s/%s", dir, name);
	return ret;
}

static bool holds(const char *path, const char *text)
{
	auto_close int fd = open(path, O_RDONLY);
	char buf[64] = "";

	return fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 0 &&
	       !strcmp(buf, text);
}

static void put(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ok(false, "%s is written", path);
}

static void set_time(const char *path, time_t s)
{
	utimensat(AT_FDCWD, path, (struct timespec[2]){ { s, 9 }, { s, 9 } },
		  0);
}

/* Save a file that is open with these flags, at byte 2, and close it. */
static int save(struct rig *rig, const char *path, int flags)
{
	struct err err = { 0 };
	int fd = open(path, flags), r;

	rig_init(rig);
	rig->local[0] = dir;
	rig->local_bytes = 1 << 20;
	rig->fds[1] = fd;
	lseek(fd, 2, SEEK_SET);
	r = rig_save(rig, 1, &err);
	ok(r == 0, "a file of the node is saved %s", err.text);
	close(fd);
	rig->fds[1] = -1;
	return r;
}

static ino_t inode(const char *path)
{
	struct stat st = { 0 };

	(void)stat(path, &st);
	return st.st_ino;
}

static void test_missing(void)
{
	const char *file = at("a/b/data");
	struct err err = { 0 };
	struct stat st, sub;
	struct rig rig;
	char byte = 0;
	int r;

	mkdir(at("a"), 0711);
	mkdir(at("a/b"), 0700);
	chmod(at("a/b"), 01500);
	put(file, "data");
	chmod(file, 0400);
	set_time(file, 1000);
	save(&rig, file, O_RDWR);
	unlink(file);
	rmdir(at("a/b"));
	rmdir(at("a"));
	r = rig_restore(&rig, &err);
	ok(r == 0 && holds(file, "data"), "where it is missing it is made %s",
	   err.text);
	ok(stat(file, &st) == 0 && (st.st_mode & 07777) == 0400 &&
		   st.st_mtim.tv_sec == 1000 && st.st_mtim.tv_nsec == 9 &&
		   st.st_nlink == 1,
	   "with its mode, time and name");
	ok(stat(at("a"), &st) == 0 && (st.st_mode & 07777) == 0711 &&
		   stat(at("a/b"), &sub) == 0 && (sub.st_mode & 01077) == 01000,
	   "its directories, too");
	ok(lseek(rig.made[1], 0, SEEK_CUR) == 2 &&
		   read(rig.made[1], &byte, 1) == 1 && byte == 't' &&
		   write(rig.made[1], "!", 1) == 1 && holds(file, "dat!"),
	   "it is open as it was");
	rig_done(&rig);
	unlink(file);
	rmdir(at("a/b"));
	rmdir(at("a"));
}

static void test_unchanged(void)
{
	const char *file = at("same");
	struct err err = { 0 };
	struct rig rig;
	ino_t before;
	int r;

	put(file, "same");
	save(&rig, file, O_RDWR);
	before = inode(file);
	r = rig_restore(&rig, &err);
	ok(r == 0 && inode(file) == before && !*rig.remark,
	   "one that is unchanged stays %s", err.text);
	rig_done(&rig);
	unlink(file);
}

static void test_appended(void)
{
	const char *file = at("log");
	struct err err = { 0 };
	struct rig rig;
	ino_t before;
	int r;

	put(file, "one ");
	save(&rig, file, O_WRONLY | O_APPEND);
	before = inode(file);
	put(file, "one two");
	r = rig_restore(&rig, &err);
	ok(r == 0 && inode(file) == before && holds(file, "one two"),
	   "one that grew is treated like those on shared file systems %s",
	   err.text);
	rig_done(&rig);
	unlink(file);
}

static void test_changed(void)
{
	const char *file = at("state"), *aside = at("state.jobcr-7");
	struct err err = { 0 };
	auto_close int user = -EBADF;
	struct rig rig;
	ino_t before;
	int r;

	put(file, "then");
	set_time(file, 2000);
	save(&rig, file, O_RDWR);
	put(file, "later");
	before = inode(file);

	rig.files = FILES_REFUSE;
	r = rig_restore(&rig, &err);
	ok(r == -ESTALE && holds(file, "later"),
	   "one that changed is refused if so wanted: %s", err.text);
	rig.files = FILES_ROLLBACK;
	rig.nrecords = 0;
	user = open(file, O_RDONLY);
	r = rig_restore(&rig, &err);
	ok(r == -EBUSY && holds(file, "later") && inode(file) == before,
	   "and where another has it open: %s", err.text);
	cleanup_close(&user);
	user = -EBADF;
	rig.nrecords = 0;
	rig.files = FILES_DEFAULT;
	r = rig_restore(&rig, &err);
	ok(r == 0 && holds(file, "then") && holds(aside, "later") &&
		   inode(aside) == before && !strcmp(rig.remark, aside),
	   "else it is put aside and made as it was %s", err.text);
	cleanup_close(&rig.made[1]);
	rig.made[1] = -1;

	/* What was made again is known as the same. */
	put(file, "later still");
	before = inode(file);
	rig.nrecords = 0;
	rig.files = FILES_KEEP;
	r = rig_restore(&rig, &err);
	ok(r == 0 && holds(file, "later still") && inode(file) == before,
	   "or kept as it is %s", err.text);
	rig_done(&rig);
	unlink(aside);
	unlink(file);
}

static void test_another(void)
{
	const char *file = at("shared");
	struct err err = { 0 };
	struct rig rig;
	int r;

	put(file, "mine");
	save(&rig, file, O_RDWR);
	rename(file, at("moved"));
	put(file, "his!");
	for (int i = 0; i < FILES_POLICIES; i++) {
		rig.files = (enum file_policy)i;
		rig.nrecords = 0;
		r = rig_restore(&rig, &err);
		ok(r == -EEXIST && holds(file, "his!"),
		   "another file at the path is let alone: %s", err.text);
	}
	rig_done(&rig);
	unlink(at("moved"));
	unlink(file);
}

static void test_input(void)
{
	const char *file = at("input");
	struct err err = { 0 };
	struct rig rig;
	char buf[8] = "";
	int r;

	put(file, "input");
	set_time(file, 3000);
	save(&rig, file, O_RDONLY);
	put(file, "other");
	r = rig_restore(&rig, &err);
	ok(r == 0 && pread(rig.made[1], buf, 5, 0) == 5 &&
		   !strcmp(buf, "input") && holds(file, "other"),
	   "an input that was changed stays, and the job has a copy %s",
	   err.text);
	cleanup_close(&rig.made[1]);
	rig.made[1] = -1;
	*rig.remark = '\0';
	rig.nrecords = 0;
	rename(file, at("moved"));
	put(file, "INPUT");
	set_time(file, 3000);
	r = rig_restore(&rig, &err);
	ok(r == 0 && pread(rig.made[1], buf, 5, 0) == 5 &&
		   !strcmp(buf, "INPUT") && !*rig.remark,
	   "an input of the same size and time is taken for it %s", err.text);
	cleanup_close(&rig.made[1]);
	rig.made[1] = -1;
	put(file, "other");
	rig.nrecords = 0;
	r = rig_restore(&rig, &err);
	ok(r == 0 && pread(rig.made[1], buf, 5, 0) == 5 &&
		   !strcmp(buf, "input") && holds(file, "other") &&
		   !strcmp(rig.remark, file),
	   "beside another the job has its own copy %s", err.text);
	rig_done(&rig);
	unlink(at("moved"));
	unlink(file);
}

static void test_limits(void)
{
	const char *file = at("large");
	struct err err = { 0 };
	struct rig rig;
	struct stat st;
	int r;

	put(file, "x");
	rig_init(&rig);
	rig.local[0] = dir;
	rig.fds[1] = open(file, O_RDWR);
	r = rig_save(&rig, 1, &err);
	ok(r == -ENOTSUP && rig.no.count == 1 &&
		   strstr(rig.no.list[0].remedy, "LocalFileSize"),
	   "one that is too large is refused: %s",
	   rig.no.count ? rig.no.list[0].what : err.text);
	close(rig.fds[1]);
	rig_done(&rig);
	/* Names that are not saved: it stays where it is. */
	ok(link(file, at("second")) == 0 && save(&rig, file, O_RDWR) == 0 &&
		   unlink(file) == 0 && rig_restore(&rig, &err) == -ENOENT &&
		   stat(file, &st) < 0,
	   "one with two names, which is written to, does not travel: %s",
	   err.text);
	rig_done(&rig);
	unlink(at("second"));
}

int main(void)
{
	if (geteuid() != 0)
		skip_all("needs root");
	if (!mkdtemp(dir))
		skip_all("no temporary directory");
	test_missing();
	test_unchanged();
	test_appended();
	test_changed();
	test_another();
	test_input();
	test_limits();
	ok(rmdir(dir) == 0, "nothing is left behind");
	temp_dir_remove(dir);
	return done_testing();
}
