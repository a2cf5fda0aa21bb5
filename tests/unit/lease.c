/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases of a job's runs: who may run, who must wait, for how long, and which
 * snapshots do not count.  Two nodes with clocks of their own are played.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/lease.h"
#include "storage/store.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define L 30000u

/* The clocks of two observers: minutes apart, and one stands for years. */
static uint64_t time_a, time_b;
static uint64_t clock_a(void)
{
	return time_a;
}
static uint64_t clock_b(void)
{
	return time_b + 600 * NSEC_PER_SEC;
}

static void pass(unsigned int ms)
{
	time_a += ms * 1000000ull;
	time_b += ms * 1000000ull;
}

static struct lease on(const char *node)
{
	struct lease l;
	struct err err = { 0 };

	if (lease_identity(node, &l, &err) < 0)
		diag("%s", err.text);
	l.length_ms = L;
	return l;
}

static int new_job(const char *store, const char *job)
{
	struct err err = { 0 };
	int fd;

	if (store_open_job(store, "c", job, true, NULL, &fd, &err) < 0)
		diag("%s", err.text);
	return fd;
}

static int new_generation(int job_fd, uint32_t *number, bool publish)
{
	auto_close int dir_fd = -EBADF;
	struct err err = { 0 };
	int r = store_begin(job_fd, NULL, number, &dir_fd, &err);

	return r < 0 || !publish ? r
				 : store_publish(job_fd, *number, dir_fd,
						 "manifest", 8, NULL, &err);
}

static void overwrite(int job_fd, const char *name, const void *data,
		      size_t len)
{
	auto_close int fd = openat(
		job_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (write(fd, data, len) != (ssize_t)len)
		diag("%s: cannot be written", name);
}

static void test_life(const char *store)
{
	auto_close int fd = new_job(store, "1");
	struct lease one = on("n1"), two = on("n2"), seen;
	struct err err = { 0 };

	ok(lease_read(fd, NULL, &seen, &err) == -ENOENT, "no lease at first");
	one.first = 1;
	ok(lease_take(fd, NULL, false, &one, &err) == 0 && one.epoch == 1,
	   "the first run takes epoch 1: %s", err.text);
	ok(lease_renew(fd, NULL, &one, &err) == 0, "renewed: %s", err.text);
	ok(lease_read(fd, NULL, &seen, &err) == 0 && seen.epoch == 1 &&
		   seen.beat == 2 && seen.length_ms == L &&
		   lease_same_place(&seen, &one) && !seen.released,
	   "as others read it: %s", err.text);
	ok(!lease_same_place(&seen, &two), "another node is another place");
	ok(lease_check(fd, NULL, 1, &err) == 0, "it holds");
	ok(lease_take(fd, NULL, true, &two, &err) == 0 && two.epoch == 2,
	   "the next start takes epoch 2: %s", err.text);
	ok(lease_check(fd, NULL, 1, &err) == -EKEYREVOKED, "1 has ended: %s",
	   err.text);
	ok(lease_renew(fd, NULL, &one, &err) == -EKEYREVOKED,
	   "the old run's renewal says so");
	ok(lease_begin(fd, NULL, &one, 0, &err) == -EKEYREVOKED,
	   "and it begins nothing");
	ok(lease_begin(fd, NULL, &two, 0, &err) == 0 && two.first == 1,
	   "epoch 2 begins: %s", err.text);
	ok(lease_release(fd, NULL, &two, &err) == 0 &&
		   lease_read(fd, NULL, &seen, &err) == 0 && seen.released,
	   "and is released: %s", err.text);
	lease_remove(fd, NULL, 1);
	ok(lease_read(fd, NULL, &seen, &err) == 0 && seen.epoch == 2,
	   "a later epoch stays when those before it are removed");
	lease_remove(fd, NULL, 2);
	ok(lease_read(fd, NULL, &seen, &err) == -ENOENT, "none is left");
	ok(lease_renew(fd, NULL, &two, &err) == -ENOENT,
	   "a lease that is gone is not renewed: %s", err.text);
}

/* A beat that was on its way while another run took over. */
static void test_late_beat(const char *store)
{
	auto_close int fd = new_job(store, "2");
	struct lease one = on("n1"), two = on("n2"), seen;
	struct err err = { 0 };
	char old[LEASE_BLOCK];
	auto_close int file = -EBADF;

	(void)lease_take(fd, NULL, false, &one, &err);
	file = openat(fd, "lease.0000000001", O_RDWR | O_CLOEXEC);
	ok(pread(file, old, sizeof(old), 0) == sizeof(old), "a beat is sent");
	(void)lease_take(fd, NULL, true, &two, &err);
	ok(pwrite(file, old, sizeof(old), 0) == sizeof(old),
	   "and lands when epoch 2 was taken");
	ok(lease_renew(fd, NULL, &one, &err) == -EKEYREVOKED,
	   "1 has ended still");
	ok(lease_read(fd, NULL, &seen, &err) == 0 && seen.epoch == 2,
	   "and 2 is the newest still");
}

static int look(int fd, uint64_t (*clock)(void), struct lease_watch *w)
{
	struct err err = { 0 };
	int r = lease_watch_look(fd, NULL, 2, 1000, clock, w, &err);

	if (r < 0)
		diag("%s", err.text);
	return r;
}

static void test_observers(const char *store)
{
	auto_close int fd = new_job(store, "3");
	struct lease one = on("n1");
	struct lease_watch a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	struct err err = { 0 };

	time_a = 1000 * NSEC_PER_SEC;
	time_b = 5;
	ok(look(fd, clock_a, &a) == 1, "without a lease nobody waits");
	(void)lease_take(fd, NULL, false, &one, &err);
	ok(look(fd, clock_a, &a) == 0 && !strcmp(a.last.node, "n1"),
	   "a lease is waited for, whoever holds it");
	pass(L - 1);
	ok(look(fd, clock_a, &a) == 0, "for as long as it may hold");
	(void)lease_renew(fd, NULL, &one, &err);
	pass(1);
	ok(look(fd, clock_a, &a) == 0, "a beat begins it anew");
	pass(L / 2);
	ok(look(fd, clock_b, &b) == 0, "who comes later waits longer");
	pass(L / 2);
	ok(look(fd, clock_a, &a) == 1, "over for the first observer");
	ok(look(fd, clock_b, &b) == 0, "not for the second");
	pass(L / 2);
	ok(look(fd, clock_b, &b) == 1, "then for the second, by its clock");
	one.length_ms = 100;
	(void)lease_renew(fd, NULL, &one, &err);
	(void)look(fd, clock_a, &c);
	pass(999);
	ok(look(fd, clock_a, &c) == 0, "at least the observer's own length");
	pass(1);
	ok(look(fd, clock_a, &c) == 1, "and no longer");
	(void)lease_release(fd, NULL, &one, &err);
	ok(look(fd, clock_a, &d) == 1, "a released lease is not waited for");
}

static void test_two_waiting(const char *store)
{
	auto_close int fd = new_job(store, "4");
	struct lease one = on("n1"), two = on("n2"), three = on("n3");
	struct lease_watch w = { 0 };
	struct err err = { 0 };

	(void)lease_take(fd, NULL, false, &one, &err);
	(void)lease_take(fd, NULL, true, &two, &err);
	(void)lease_take(fd, NULL, true, &three, &err);
	ok(three.epoch == 3, "two starts wait for the first run");
	(void)lease_release(fd, NULL, &two, &err);
	ok(lease_watch_look(fd, NULL, 3, 1, clock_a, &w, &err) == 0 &&
		   w.last.epoch == 1,
	   "one that gave up leaves the other waiting");
	ok(lease_mark_over(fd, NULL, 1, &err) == 0 &&
		   lease_watch_look(fd, NULL, 3, 1, clock_a, &w, &err) == 1,
	   "until the first is known to be over: %s", err.text);
	ok(lease_begin(fd, NULL, &two, 0, &err) == -EKEYREVOKED &&
		   lease_begin(fd, NULL, &three, 0, &err) == 0,
	   "only the newest begins");
}

static void test_hostile(const char *store)
{
	static const char long_node[] =
		"jobcr-lease 1 1 0 0 1 30000 held "
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		"nn"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn b 00000000";
	auto_close int fd = new_job(store, "5");
	struct lease one = on("n1"), two = on("n2"), seen;
	struct lease_watch w = { 0 };
	struct err err = { 0 };
	char block[LEASE_BLOCK];

	(void)lease_take(fd, NULL, false, &one, &err);
	overwrite(fd, "lease.0000000001", "jobcr-lease 1 1 0", 17);
	ok(lease_read(fd, NULL, &seen, &err) == -EBADMSG && seen.epoch == 1,
	   "a torn lease is known as one: %s", err.text);
	ok(lease_watch_look(fd, NULL, 2, L, clock_a, &w, &err) == 0,
	   "and waited for");
	ok(lease_renew(fd, NULL, &one, &err) == 0, "its holder mends it: %s",
	   err.text);
	memset(block, ' ', sizeof(block));
	memcpy(block, long_node, sizeof(long_node) - 1);
	overwrite(fd, "lease.0000000001", block, sizeof(block));
	ok(lease_read(fd, NULL, &seen, &err) == -EBADMSG,
	   "a name that is too long is refused");
	(void)unlinkat(fd, "lease.0000000001", 0);
	(void)symlinkat("/etc/passwd", fd, "lease.0000000001");
	ok(lease_read(fd, NULL, &seen, &err) == -ELOOP &&
		   lease_renew(fd, NULL, &one, &err) < 0,
	   "a link is not followed: %s", err.text);
	(void)unlinkat(fd, "lease.0000000001", 0);
	(void)mkfifoat(fd, "lease.0000000001", 0600);
	ok(lease_read(fd, NULL, &seen, &err) < 0, "a FIFO does not hang: %s",
	   err.text);
	overwrite(fd, "lease.1", "x", 1);
	overwrite(fd, "lease.9999999999", "x", 1);
	overwrite(fd, "lease.00000000002", "x", 1);
	(void)unlinkat(fd, "lease.0000000001", 0);
	ok(lease_read(fd, NULL, &seen, &err) == -ENOENT,
	   "other names are none of ours");
	overwrite(fd, "lease.2147483647", "x", 1);
	ok(lease_take(fd, NULL, false, &two, &err) == -ERANGE,
	   "the last epoch is the last: %s", err.text);
	ok(lease_identity("n1;rm", &seen, &err) < 0 &&
		   lease_identity("", &seen, &err) < 0,
	   "a node's name is one: %s", err.text);
}

/* The snapshots of a job that was restarted while its old node still wrote. */
static void test_late_publish(const char *store)
{
	auto_close int fd = new_job(store, "6");
	auto_close int late_fd = -EBADF;
	struct lease one = on("n1"), two = on("n2");
	struct store_generation *all = NULL;
	struct err err = { 0 };
	uint32_t first = 0, late = 0, next = 0, newest = 0;
	size_t count = 0;

	one.first = 1;
	(void)lease_take(fd, NULL, false, &one, &err);
	(void)new_generation(fd, &first, true);
	(void)store_begin(fd, NULL, &late, &late_fd, &err);
	ok(first == 1 && late == 2, "one snapshot, and one under way");
	(void)lease_take(fd, NULL, true, &two, &err);
	(void)lease_begin(fd, NULL, &two, first, &err);
	ok(two.base == 1 && two.first == 3, "the next run begins from it");
	ok(store_check_late(fd, 2, NULL, &err) == -EBADMSG &&
		   store_check_late(fd, 1, NULL, &err) == 0 &&
		   store_check_late(fd, 3, NULL, &err) == 0,
	   "the one under way counts no more: %s", err.text);
	ok(store_publish(fd, late, late_fd, "manifest", 8, NULL, &err) == 0 &&
		   store_newest(fd, NULL, &newest, &err) == 0 && newest == 1,
	   "the other, published now, does not count");
	(void)new_generation(fd, &next, true);
	ok(next == 3 && store_newest(fd, NULL, &newest, &err) == 0 &&
		   newest == 3,
	   "the run's own does");
	ok(store_retire(fd, 2, NULL, &err) == 0 &&
		   store_list(fd, NULL, &all, &count, &err) == 0 &&
		   all[0].number == 1,
	   "what came late takes no other's place: %s", err.text);
	free(all);
	(void)new_generation(fd, &next, true);
	ok(store_retire(fd, 2, NULL, &err) == 0 &&
		   store_list(fd, NULL, &all, &count, &err) == 0 &&
		   count == 2 && all[0].number == 3,
	   "and goes when it is older than those kept");
	free(all);
}

int main(void)
{
	char store[64];
	auto_close int fd = temp_dir(store);

	if (fd < 0)
		return 1;
	test_life(store);
	test_late_beat(store);
	test_observers(store);
	test_two_waiting(store);
	test_hostile(store);
	test_late_publish(store);
	temp_dir_remove(store);
	return done_testing();
}
