/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job with much memory (MIB=1024 for more) is killed by others as soon as
 * it is pinned: all of it is in the snapshot.  And when the store has no room
 * for that, an error says so, and that the job is lost; there is no snapshot.
 * One that is not pinned is sheltered while it is copied, and put back before
 * it goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/snapshot.h"
#include "tests/lib/drive.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PATIENCE (60 * NSEC_PER_SEC)

static char dir[64], images[80], small[80], file[96];

static uint64_t word(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static const char *in_dir(const char *name)
{
	snprintf(file, sizeof(file), "%s/%s", dir, name);
	return file;
}

static bool say(const char *name)
{
	int fd = open(in_dir(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void await(const char *name)
{
	while (access(in_dir(name), F_OK) < 0)
		usleep(1000);
	(void)unlink(file);
}

/* Half of it private, half shared. */
static int job_main(const char *mib)
{
	size_t half = (size_t)atoi(mib) << 19;
	uint64_t *p[2];

	for (int k = 0; k < 2; k++) {
		p[k] = mmap(NULL, half, PROT_READ | PROT_WRITE,
			    MAP_ANONYMOUS | (k ? MAP_SHARED : MAP_PRIVATE), -1,
			    0);
		if (p[k] == MAP_FAILED)
			return 2;
		for (size_t i = 0; i < half / 8; i++)
			p[k][i] = word(i + (size_t)k);
	}
	say("ready");
	await("go");
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < half / 8; i++)
			if (p[k][i] != word(i + (size_t)k))
				return 1;
	return 0;
}

static struct drive_job *start(const char *mib)
{
	char *self = realpath("/proc/self/exe", NULL);
	char *argv[] = { self, (char *)"--job", dir, (char *)mib, NULL };
	char *envp[] = { NULL };
	struct drive_place place = { 0 };
	struct drive_job *job = NULL;
	struct err err = { 0 };

	if (drive_start(&place, argv, envp, &job, &err) < 0) {
		diag("%s", err.text);
		exit(1);
	}
	free(self);
	await("ready");
	return job;
}

static void remove_images(void)
{
	static const char *const names[] = { "manifest", "test.meta",
					     "test.pages.0" };
	int fd = open(images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(names); i++)
		(void)unlinkat(fd, names[i], 0);
	if (fd >= 0)
		close(fd);
	(void)rmdir(images);
}

static bool verified(void)
{
	auto_close int fd = open(images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = { 0 };
	bool whole =
		fd >= 0 && snapshot_verify(fd, NULL, VERIFY_PAGES, &err) == 0;

	if (!whole)
		diag("%s", err.text);
	return whole;
}

static void is_whole(const char *mib)
{
	static struct drive_outcome o;
	struct drive_place place = { 0 };
	struct drive_job *job = start(mib);
	struct err err = { 0 };
	int status = -1;

	ok(drive_checkpoint_doomed(job, images, &o) == 0 && o.checkpoint.gone,
	   "%s MiB, killed once pinned, are saved: %s", mib, o.err.text);
	diag("pinned after %.1f ms, all in %.1f ms",
	     (double)o.checkpoint.pinned_ns / 1e6,
	     (double)o.checkpoint.total_ns / 1e6);
	drive_end(job);
	job = NULL;
	ok(verified(), "the snapshot is whole");
	ok(drive_restore(&place, images, &job, &o) == 0, "restored: %s",
	   o.err.text);
	say("go");
	ok(job && drive_wait(job, PATIENCE, &status, &err) == 0 && status == 0,
	   "and every word of it is as it was: %s", err.text);
	(void)unlink(in_dir("go"));
	drive_end(job);
	remove_images();
}

static bool make_small(char *ret, size_t room)
{
	if (mkdir(small, 0755) < 0 ||
	    mount("none", small, "tmpfs", 0, "size=1m,mode=0777") < 0)
		return false;
	snprintf(ret, room, "%s/images", small);
	return true;
}

static void remove_small(void)
{
	(void)umount2(small, MNT_DETACH);
	(void)rmdir(small);
}

static void no_room(void)
{
	static struct drive_outcome o;
	struct drive_job *job = start("8");
	char path[128];
	int r;

	if (!make_small(path, sizeof(path))) {
		skip("no small file system");
		drive_end(job);
		return;
	}
	r = drive_checkpoint_doomed(job, path, &o);
	drive_end(job);
	ok(r == -ENOSPC && strstr(o.err.text, "was killed before all"),
	   "without room: %s", o.err.text);
	snprintf(path, sizeof(path), "%s/images/manifest", small);
	ok(access(path, F_OK) < 0, "and no snapshot");
	remove_small();
}

/* Put back while it stands still, and then it goes on. */
static void is_put_back(void)
{
	static struct drive_outcome o;
	struct drive_job *job = start("8");
	struct err err = { 0 };
	char path[128];
	int status = -1;

	if (!make_small(path, sizeof(path))) {
		skip("no small file system");
		drive_end(job);
		return;
	}
	ok(drive_checkpoint_sheltered(job, path, false, &o) == -ENOSPC &&
		   strcmp(o.shelter, "su") == 0,
	   "sheltered and put back: %s, %s", o.shelter, o.err.text);
	say("go");
	ok(drive_wait(job, PATIENCE, &status, &err) == 0 && status == 0,
	   "the job goes on: %s", err.text);
	(void)unlink(in_dir("go"));
	drive_end(job);
	remove_small();
}

/* There is nothing to go back to, whether it is saved or not. */
static void is_outlived(void)
{
	static struct drive_outcome o;
	struct drive_job *job = start("8");
	struct err err = { 0 };
	char path[128];
	int status = -1;

	ok(drive_checkpoint_sheltered(job, images, true, &o) == 0 &&
		   strcmp(o.shelter, "s") == 0 && o.checkpoint.gone &&
		   o.checkpoint.killed && o.checkpoint.sheltered_ns,
	   "saved when the job has ended for others: %s", o.err.text);
	ok(drive_wait(job, PATIENCE, &status, &err) == 0 && status == SIGKILL &&
		   verified(),
	   "killed then, and whole");
	drive_end(job);
	remove_images();
	if (!make_small(path, sizeof(path))) {
		skip("no small file system");
		return;
	}
	job = start("8");
	ok(drive_checkpoint_sheltered(job, path, true, &o) == -ENOSPC &&
		   strcmp(o.shelter, "s") == 0 && o.checkpoint.gone &&
		   strstr(o.err.text, "was killed before all"),
	   "not saved: %s", o.err.text);
	ok(drive_wait(job, PATIENCE, &status, &err) == 0 && status == SIGKILL,
	   "and killed, too");
	drive_end(job);
	remove_small();
}

int main(int argc, char **argv)
{
	const char *mib = getenv("MIB");

	if (argc == 4 && strcmp(argv[1], "--job") == 0) {
		snprintf(dir, sizeof(dir), "%s", argv[2]);
		return job_main(argv[3]);
	}
	if (geteuid() != 0)
		skip_all("needs root");
	snprintf(dir, sizeof(dir), "/tmp/jobcr-doomed.XXXXXX");
	if (!mkdtemp(dir))
		return 99;
	snprintf(images, sizeof(images), "%s/images", dir);
	snprintf(small, sizeof(small), "%s/small", dir);
	is_whole(mib ? mib : "96");
	no_room();
	is_put_back();
	is_outlived();
	(void)rmdir(dir);
	return done_testing();
}
