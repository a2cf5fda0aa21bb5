/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lease that is not where it was: when may a node make it again?  A program
 * of the test's own answers for slurmctld.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/fence_renew.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define OWNER 12345

static char dir[] = "/tmp/jobcr-renew.XXXXXX";
static char store[64], job_dir[96], answer[96];

static void slurm_says(const char *node, int running)
{
	FILE *f = fopen(answer, "w");

	if (!f)
		exit(1);
	fprintf(f,
		"#!/bin/sh\n"
		"printf '%%s\\n' state=X nodes=%s running=%d pending=0 "
		"completing=0 suspended=0 held=0 requeue=1 reason=none "
		"uid=%d gid=%d node_count=1 restart_count=0 preempt_time=0 "
		"end_time=0 submit_time=1 kill_wait=0 noted=0\n",
		node, running, OWNER, OWNER);
	fclose(f);
	chmod(answer, 0755);
}

static int beat(struct renewal *r)
{
	return renewal_start(r, false) < 0 ? -ECHILD : renewal_finish(r);
}

static void forget_job(void)
{
	auto_free char *cmd = NULL;

	if (asprintf(&cmd, "rm -rf '%s'", job_dir) < 0 || system(cmd))
		exit(1);
}

static bool has_lease(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/lease.0000000001", job_dir);
	return access(path, F_OK) == 0;
}

static void test_removed(const struct renewal *held)
{
	const uint64_t now = clock_ns(CLOCK_BOOTTIME);
	struct renewal r = *held;

	forget_job();
	r.sure_until_ns = now + 60 * NSEC_PER_SEC;
	slurm_says("elsewhere", 0);
	ok(beat(&r) == 0 && has_lease(),
	   "one that holds is made again, whatever Slurm says: %s", r.text);

	r = *held;
	forget_job();
	r.sure_until_ns = now;
	ok(beat(&r) == -EKEYREVOKED && !has_lease(),
	   "one that has lapsed is not when the job is over: %s", r.text);
	slurm_says("elsewhere", 1);
	ok(beat(&r) == -EBUSY && !has_lease(), "nor when it runs elsewhere: %s",
	   r.text);
	unlink(answer);
	ok(beat(&r) < 0 && !has_lease(), "nor when nobody knows: %s", r.text);
	slurm_says("here", 1);
	ok(beat(&r) == 0 && has_lease(), "it is when the job runs here: %s",
	   r.text);
}

/* As when the store is unmounted between the look at it and the beat. */
static void test_mounted_over(const struct renewal *held)
{
	struct renewal r = *held;

	r.sure_until_ns = clock_ns(CLOCK_BOOTTIME) + 60 * NSEC_PER_SEC;
	if (mount("none", job_dir, "tmpfs", 0, "mode=0700") < 0 ||
	    chown(job_dir, OWNER, OWNER) < 0) {
		skip("no mount: %s", strerror(errno));
		return;
	}
	ok(beat(&r) == -EIO && !has_lease(),
	   "none is made on another file system: %s", r.text);
	umount2(job_dir, MNT_DETACH);
	ok(beat(&r) == 0, "the old one is renewed when it is back: %s", r.text);
}

int main(void)
{
	struct conf conf = { .cluster = (char *)"test",
			     .node = (char *)"here",
			     .store_dir = store,
			     .libexec = dir,
			     .lease_s = 30 };
	struct control_info info = {
		.job_id = "7", .slurm = 7, .uid = OWNER, .gid = OWNER
	};
	struct renewal r = { .conf = &conf, .info = &info };
	auto_free char *cmd = NULL;

	if (getuid() != 0)
		skip_all("needs root, to be a job's user");
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mkdtemp(dir) || chmod(dir, 0711) < 0)
		return 1;
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(job_dir, sizeof(job_dir), "%s/test/7", store);
	mkdir(store, 0755);
	snprintf(answer, sizeof(answer), "%s/test", store);
	mkdir(answer, 0755);
	snprintf(answer, sizeof(answer), "%s/jobcr-slurm", dir);
	ok(beat(&r) == 0 && r.lease.epoch == 1 && has_lease(),
	   "a run that has no lease gets one: %s", r.text);
	r.epoch = r.lease.epoch;
	test_mounted_over(&r);
	test_removed(&r);
	if (asprintf(&cmd, "rm -rf '%s'", dir) < 0 || system(cmd))
		return 1;
	return done_testing();
}
