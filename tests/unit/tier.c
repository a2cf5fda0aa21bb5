/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots that lie in a fast directory, as the store sees them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/lease.h"
#include "storage/store.h"
#include "storage/tier_dir.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define CLUSTER "c"

static char store[128], fast[128];

/* A job's directories. */
struct place {
	const char *job;
	int job_fd, fast_fd;
};

static struct place new_place(const char *job)
{
	struct place p = { .job = job, .job_fd = -1, .fast_fd = -1 };
	struct err err = { 0 };

	if (store_open_job(store, CLUSTER, job, true, NULL, &p.job_fd, &err) <
		    0 ||
	    tier_dir_open(fast, CLUSTER, job, true, NULL, &p.fast_fd, &err) < 0)
		skip_all("%s", err.text);
	return p;
}

static void leave(struct place *p)
{
	close(p->job_fd);
	close(p->fast_fd);
}

/* As a worker does it: begun in the store, written and published elsewhere. */
static uint32_t save_fast(const struct place *p, bool publish)
{
	auto_close int store_fd = -EBADF, dir_fd = -EBADF;
	struct tier_mark mark;
	struct err err = { 0 };
	uint32_t number = 0;
	int r = store_begin(p->job_fd, NULL, &number, &store_fd, &err);

	if (r == 0)
		r = store_begin_at(p->fast_fd, NULL, number, &dir_fd, &err);
	if (r == 0)
		r = tier_mark_make("n1", fast, CLUSTER, p->job, &mark, &err);
	if (r == 0)
		r = tier_mark_write(store_fd, NULL, &mark, &err);
	if (r == 0)
		r = tier_mark_write(dir_fd, NULL, &mark, &err);
	if (r == 0 && publish)
		r = store_publish(p->fast_fd, number, dir_fd, "fast", 4, NULL,
				  &err);
	if (r < 0)
		diag("%s", err.text);
	return r < 0 ? 0 : number;
}

/* Straight to the store. */
static uint32_t save(const struct place *p)
{
	auto_close int dir_fd = -EBADF;
	struct err err = { 0 };
	uint32_t number = 0;

	if (store_begin(p->job_fd, NULL, &number, &dir_fd, &err) < 0 ||
	    store_publish(p->job_fd, number, dir_fd, "here", 4, NULL, &err) < 0)
		diag("%s", err.text);
	return number;
}

/* As a flush does it. */
static int flush(const struct place *p, uint32_t number, struct err *err)
{
	auto_close int dir_fd = -EBADF;
	int r = tier_dir_target(p->job_fd, number, NULL, &dir_fd, err);

	if (r == 0)
		r = store_publish(p->job_fd, number, dir_fd, "fast", 4, NULL,
				  err);
	return r < 0 ? r : tier_dir_settle(p->fast_fd, number, NULL, err);
}

/* "1 2F 3F? 4?": F in a fast directory, ? not complete here. */
static const char *listing(const struct place *p)
{
	static char text[256];
	struct store_generation *all = NULL;
	struct err err = { 0 };
	size_t count = 0, used = 0;

	text[0] = '\0';
	if (store_list(p->job_fd, NULL, &all, &count, &err) < 0)
		return "cannot be read";
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s%u%s%s", i ? " " : "",
					 all[i].number,
					 *all[i].fast_node ? "F" : "",
					 all[i].complete ? "" : "?");
	free(all);
	return text;
}

static bool lists(const struct place *p, const char *wanted)
{
	const char *got = listing(p);

	if (strcmp(got, wanted) == 0)
		return true;
	diag("got '%s', not '%s'", got, wanted);
	return false;
}

static enum tier_state state(const struct place *p, uint32_t number)
{
	enum tier_state s = TIER_UNWANTED;
	struct err err = { 0 };

	if (tier_dir_look(p->fast_fd, p->job_fd, number, NULL, &s, &err) < 0)
		diag("%s", err.text);
	return s;
}

static char holds(int dir_fd)
{
	auto_close int fd = openat(dir_fd, "manifest", O_RDONLY);
	char c = '-';

	(void)!read(fd, &c, 1);
	return c;
}

static bool is_kept(const struct place *p, uint32_t number)
{
	struct store_generation *all = NULL;
	struct err err = { 0 };
	bool kept = false;
	size_t count = 0;

	(void)store_list(p->job_fd, NULL, &all, &count, &err);
	for (size_t i = 0; i < count; i++)
		kept |= all[i].number == number && all[i].kept;
	free(all);
	return kept;
}

/* As it is on other nodes, or when this one is lost. */
static void hide(bool away)
{
	char path[sizeof(fast) + sizeof(".away")];

	snprintf(path, sizeof(path), "%s.away", fast);
	if ((away ? rename(fast, path) : rename(path, fast)) < 0)
		diag("%s", strerror(errno));
}

static void test_life(void)
{
	struct place p = new_place("1");
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	uint32_t n = 0, pending = 0;
	int near = -EBADF;

	ok(save(&p) == 1 && save_fast(&p, true) == 2 && lists(&p, "1 2F"),
	   "one in the store, one in the fast directory");
	ok(store_newest(p.job_fd, NULL, &n, &err) == 0 && n == 2,
	   "which is the newest: %s", err.text);
	ok(store_open(p.job_fd, 2, NULL, &fd, &err) == 0 && holds(fd) == 'f',
	   "and is opened there: %s", err.text);
	ok(state(&p, 2) == TIER_WAITS &&
		   tier_dir_pending(p.fast_fd, NULL, &pending, &err) == 0 &&
		   pending == 2,
	   "it waits to be flushed");
	ok(store_keep(p.job_fd, 2, true, NULL, &err) == 0 && is_kept(&p, 2),
	   "it can be kept: %s", err.text);
	ok(save_fast(&p, false) == 3 && lists(&p, "1 2F 3F?"),
	   "its number is taken, as is that of one which is not whole");
	ok(flush(&p, 2, &err) == 0 && lists(&p, "1 2 3F?"),
	   "flushed it is in the store: %s", err.text);
	ok(is_kept(&p, 2), "and still kept");
	ok(state(&p, 2) == TIER_STORED &&
		   tier_dir_pending(p.fast_fd, NULL, &pending, &err) == 0 &&
		   !pending,
	   "and waits no more");
	ok(store_open_near(p.job_fd, 2, NULL, &near, &err) == 0,
	   "its copy can still be had: %s", err.text);
	close(near);
	ok(tier_dir_trim(p.fast_fd, false, NULL, &err) == 0 &&
		   faccessat(p.fast_fd, "0000000003.new", F_OK, 0) < 0 &&
		   faccessat(p.fast_fd, "0000000002", F_OK, 0) == 0,
	   "what a dead worker has left goes, the newest copy stays: %s",
	   err.text);
	ok(tier_dir_trim(p.fast_fd, true, NULL, &err) == 0 &&
		   faccessat(p.fast_fd, "0000000002", F_OK, 0) < 0,
	   "unless its room is needed: %s", err.text);
	leave(&p);
}

static void test_retire(void)
{
	struct place p = new_place("2");
	struct err err = { 0 };
	unsigned int count = 0;

	(void)save(&p);
	(void)save_fast(&p, true);
	ok(store_tidy(p.job_fd, "n1", 0, NULL, &count, &err) == 0 && !count &&
		   lists(&p, "1 2F"),
	   "nobody tidies it away");
	ok(store_retire(p.job_fd, 1, NULL, &err) == 0 && lists(&p, "1 2F"),
	   "it is not counted while it is not in the store");
	(void)save(&p);
	ok(store_retire(p.job_fd, 2, NULL, &err) == 0 && lists(&p, "1 2F 3"),
	   "nor does it go before its time");
	(void)save(&p);
	ok(store_retire(p.job_fd, 2, NULL, &err) == 0 && lists(&p, "3 4") &&
		   state(&p, 2) == TIER_UNWANTED,
	   "when there are enough newer ones it goes");
	(void)save_fast(&p, true);
	ok(store_discard(p.job_fd, 5, NULL, &err) == 0 &&
		   state(&p, 5) == TIER_UNWANTED && lists(&p, "3 4"),
	   "one that is deleted is gone");
	ok(save(&p) == 5 && state(&p, 5) == TIER_UNWANTED,
	   "and not taken for what has its number now");
	leave(&p);
}

/* What somebody wants stays, also while its node is not to be reached. */
static void test_kept(void)
{
	struct place p = new_place("8");
	struct err err = { 0 };
	bool kept = false;

	(void)save(&p);
	(void)save_fast(&p, true);
	ok(store_keep(p.job_fd, 2, true, NULL, &err) == 0, "one is kept: %s",
	   err.text);
	hide(true);
	ok(store_keeps(p.job_fd, NULL, &kept, &err) == 0 && kept,
	   "that is known where it cannot be seen");
	(void)save(&p);
	(void)save(&p);
	ok(store_retire(p.job_fd, 1, NULL, &err) == 0 && lists(&p, "2F? 4"),
	   "newer ones do not replace it: %s", err.text);
	hide(false);
	ok(state(&p, 2) == TIER_WAITS && lists(&p, "2F 4"),
	   "it is there again");
	ok(flush(&p, 2, &err) == 0 && is_kept(&p, 2) && lists(&p, "2 4"),
	   "and is kept in the store: %s", err.text);
	ok(save_fast(&p, true) == 5 &&
		   store_keep(p.job_fd, 5, true, NULL, &err) == 0 &&
		   store_keep(p.job_fd, 5, false, NULL, &err) == 0 &&
		   flush(&p, 5, &err) == 0 && !is_kept(&p, 5),
	   "what is taken back is taken back: %s", err.text);
	leave(&p);
}

/* Another node sees that it comes. */
static void test_progress(void)
{
	struct place p = new_place("10");
	auto_close int dir_fd = -EBADF, fd = -EBADF;
	struct err err = { 0 };
	uint64_t before, after;

	(void)save_fast(&p, true);
	before = tier_progress(p.job_fd, 1, NULL);
	ok(before && before == tier_progress(p.job_fd, 1, NULL),
	   "one that waits is the same at each look");
	(void)tier_dir_target(p.job_fd, 1, NULL, &dir_fd, &err);
	fd = openat(dir_fd, "pages", O_WRONLY | O_CREAT, 0600);
	after = tier_progress(p.job_fd, 1, NULL);
	ok(after != before, "one that is copied is not");
	(void)!write(fd, "more", 4);
	ok(tier_progress(p.job_fd, 1, NULL) != after, "nor when it grows");
	ok(!tier_progress(p.job_fd, 2, NULL), "what is not there is nothing");
	leave(&p);
}

/* Room is not made by what a restore reads. */
static void test_near(void)
{
	struct place p = new_place("9");
	struct err err = { 0 };
	int near = -1;

	(void)save_fast(&p, true);
	(void)flush(&p, 1, &err);
	(void)save_fast(&p, true);
	(void)flush(&p, 2, &err);
	ok(store_open_near(p.job_fd, 1, NULL, &near, &err) == 0,
	   "an older copy is read: %s", err.text);
	ok(tier_dir_trim(p.fast_fd, true, NULL, &err) == 0 &&
		   holds(near) == 'f' &&
		   faccessat(p.fast_fd, "0000000002", F_OK, 0) < 0,
	   "it stays meanwhile, others go: %s", err.text);
	close(near);
	ok(tier_dir_trim(p.fast_fd, true, NULL, &err) == 0 &&
		   faccessat(p.fast_fd, "0000000001", F_OK, 0) < 0,
	   "and goes then: %s", err.text);
	leave(&p);
}

static struct lease on(const char *node)
{
	struct err err = { 0 };
	struct lease l;

	if (lease_identity(node, &l, &err) < 0)
		diag("%s", err.text);
	l.length_ms = 1000;
	return l;
}

/* How many attempts somebody on that node tidies away. */
static unsigned int tidied(const struct place *p, const char *node)
{
	unsigned int count = 0;
	struct err err = { 0 };

	if (store_tidy(p->job_fd, node, UINT_MAX, NULL, &count, &err) < 0)
		diag("%s", err.text);
	return count;
}

/* A worker was killed, and what it had written here is gone. */
static void test_lost(void)
{
	char root[sizeof(fast) + sizeof(CLUSTER "//" TIER_ROOT)];
	struct place p = new_place("11");

	(void)save(&p);
	(void)save_fast(&p, false);
	(void)save_fast(&p, true);
	ok(!tidied(&p, "n1") && lists(&p, "1 2F? 3F"),
	   "an attempt that is in the fast directory is not lost");
	(void)unlinkat(p.fast_fd, "0000000002.new/" TIER_MARK, 0);
	(void)unlinkat(p.fast_fd, "0000000002.new", AT_REMOVEDIR);
	ok(!tidied(&p, "n2") && !tidied(&p, NULL) && lists(&p, "1 2F? 3F"),
	   "of one that is not, others do not know that");
	hide(true);
	ok(!tidied(&p, "n1"), "nor does its node while that is away");
	(void)mkdir(fast, 0755);
	snprintf(root, sizeof(root), "%s/" CLUSTER, fast);
	(void)mkdir(root, 0755);
	ok(!tidied(&p, "n1") && lists(&p, "1 2F? 3F?"),
	   "or something else is in its place");
	(void)rmdir(root);
	(void)rmdir(fast);
	hide(false);
	ok(tidied(&p, "n1") == 1 && lists(&p, "1 2? 3F"),
	   "when it is there the attempt goes, and its number is taken");
	(void)unlinkat(p.fast_fd, "0000000003/manifest", 0);
	(void)unlinkat(p.fast_fd, "0000000003/" TIER_MARK, 0);
	(void)unlinkat(p.fast_fd, "0000000003", AT_REMOVEDIR);
	snprintf(root, sizeof(root), "%s/" CLUSTER "/11", fast);
	ok(rmdir(root) == 0 && tidied(&p, "n1") == 1 && lists(&p, "1 2? 3?"),
	   "also where nothing of its job is left");
	leave(&p);
}

/* The job was started elsewhere, where nobody sees the fast directory. */
static void test_late(void)
{
	struct place p = new_place("3");
	struct lease one = on("n1"), two = on("n2");
	struct err err = { 0 };
	uint32_t n = 0;

	one.first = 1;
	(void)lease_take(p.job_fd, NULL, false, &one, &err);
	(void)save(&p);
	(void)save_fast(&p, true);
	(void)lease_take(p.job_fd, NULL, true, &two, &err);
	ok(lease_begin(p.job_fd, NULL, &two, 1, &err) == 0 && two.first == 3,
	   "another run begins, from what is in the store: %s", err.text);
	ok(state(&p, 2) == TIER_LATE &&
		   store_newest(p.job_fd, NULL, &n, &err) == 0 && n == 1,
	   "what is in the fast directory counts no more");
	ok(flush(&p, 2, &err) == 0 &&
		   store_newest(p.job_fd, NULL, &n, &err) == 0 && n == 1,
	   "not even if it is flushed all the same: %s", err.text);
	ok(save(&p) == 3, "the next number is the new run's");
	leave(&p);

	p = new_place("4");
	one = on("n1");
	two = on("n1");
	one.first = 1;
	(void)lease_take(p.job_fd, NULL, false, &one, &err);
	(void)save(&p);
	(void)save_fast(&p, true);
	(void)lease_take(p.job_fd, NULL, true, &two, &err);
	ok(lease_begin(p.job_fd, NULL, &two, 2, &err) == 0 &&
		   state(&p, 2) == TIER_WAITS,
	   "one that was restored from it, here, leaves it as it is: %s",
	   err.text);
	leave(&p);
}

/* Replace the mark of generation 1 in the store. */
static void forge(const struct place *p, const char *text)
{
	auto_close int fd = openat(p->job_fd, "0000000001.new/" TIER_MARK,
				   O_WRONLY | O_TRUNC);

	if (write(fd, text, strlen(text)) < 0)
		diag("%s", strerror(errno));
}

static void forge_path(const struct place *p, const struct tier_mark *mark,
		       const char *path)
{
	char text[2 * PATH_MAX];

	snprintf(text, sizeof(text), "jobcr fast 1: %s n1 %s\n", mark->token,
		 path);
	forge(p, text);
}

static void test_forged(void)
{
	static const char *const bad[] = {
		"",
		"\n",
		"jobcr fast 1: \n",
		"jobcr fast 1: x n1 /tmp\n",
		"jobcr fast 2: 00000000000000000000000000000000 n1 /tmp\n",
		"jobcr fast 1: 00000000000000000000000000000000 n1 tmp\n",
		"jobcr fast 1: 00000000000000000000000000000000 n\x1b /tmp\n",
		"jobcr fast 1: 00000000000000000000000000000000 n1 /tmp",
		"jobcr fast 1: 0000000000000000000000000000000g n1 /tmp\n",
	};
	struct place p = new_place("5"), other = new_place("6");
	auto_close int fd = -EBADF;
	struct tier_mark mark;
	struct err err = { 0 };
	char path[PATH_MAX], moved[PATH_MAX];

	(void)save_fast(&p, true);
	fd = openat(p.job_fd, "0000000001.new", O_RDONLY | O_DIRECTORY);
	ok(tier_mark_read(fd, NULL, &mark, &err) == 0 && lists(&p, "1F"),
	   "a mark as it should be: %s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		forge(&p, bad[i]);
		ok(lists(&p, "1?"), "mark %zu is none", i);
	}
	forge_path(&p, &mark, mark.path);
	ok(lists(&p, "1F"), "put back it is");
	snprintf(moved, sizeof(moved), "%.100s/elsewhere", store);
	snprintf(path, sizeof(path), "cp -a %.1000s %.1000s", mark.path, moved);
	(void)!system(path);
	forge_path(&p, &mark, moved);
	ok(lists(&p, "1F?"), "it leads to no place but root's");
	(void)symlink(mark.path, "link");
	snprintf(path, sizeof(path), "%.100s/" CLUSTER "/link", fast);
	(void)symlink(moved, path);
	forge_path(&p, &mark, path);
	ok(lists(&p, "1F?"), "nor by a link");
	snprintf(path, sizeof(path), "cp -a %.100s %.100s.other", fast, fast);
	(void)!system(path);
	snprintf(path, sizeof(path), "%.100s.other/" CLUSTER "/5", fast);
	forge_path(&p, &mark, path);
	ok(lists(&p, "1F?"), "nor to a fast directory that is not this node's");
	snprintf(path, sizeof(path), "%.100s/../fast/" CLUSTER "/5", fast);
	forge_path(&p, &mark, path);
	ok(lists(&p, "1F?"), "by whatever name");
	snprintf(path, sizeof(path), "%.100s/" CLUSTER "/6", fast);
	forge_path(&p, &mark, path);
	ok(lists(&p, "1F?"), "another job's directory has it not");
	forge_path(&p, &mark, mark.path);
	if (geteuid() == 0) {
		ok(chown(mark.path, 4242, 4242) == 0 && lists(&p, "1F?"),
		   "what is another user's is not followed");
		ok(chown(mark.path, 0, 0) == 0 && lists(&p, "1F"), "ours is");
	}
	ok(chmod(mark.path, 0777) == 0 && lists(&p, "1F?"),
	   "what others can write to is not");
	ok(chmod(mark.path, 0700) == 0 && lists(&p, "1F"), "as before");
	ok(unlinkat(p.fast_fd, "0000000001/manifest", 0) == 0 &&
		   lists(&p, "1F?"),
	   "without a manifest there is none");
	leave(&p);
	leave(&other);
}

/* What is not known to be gone is not taken to be unwanted. */
static void test_unreadable(void)
{
	struct place p = new_place("7");
	enum tier_state s = TIER_WAITS;
	struct err err = { 0 };
	char path[PATH_MAX];

	(void)save_fast(&p, true);
	snprintf(path, sizeof(path), "%.100s/" CLUSTER "/7/0000000001.new",
		 store);
	(void)rename(path, "away");
	(void)symlink("nowhere", path);
	ok(tier_dir_look(p.fast_fd, p.job_fd, 1, NULL, &s, &err) < 0,
	   "a store that cannot be read decides nothing: %s", err.text);
	leave(&p);
}

int main(void)
{
	char dir[] = "/tmp/jobcr-tier.XXXXXX";
	char command[64];

	if (!mkdtemp(dir) || chdir(dir) < 0)
		skip_all("mkdtemp: %s", strerror(errno));
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(fast, sizeof(fast), "%s/fast", dir);
	(void)mkdir(store, 0755);
	(void)mkdir(fast, 0755);
	tier_here(fast);
	test_life();
	test_retire();
	test_kept();
	test_progress();
	test_near();
	test_lost();
	test_late();
	test_forged();
	test_unreadable();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
	return done_testing();
}
