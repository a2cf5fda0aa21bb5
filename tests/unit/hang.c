/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/writer.h"
#include "tests/lib/drive.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * Storage that hangs while a job is frozen: the worker can be killed, and the
 * job goes on at once.  A file system in a file is frozen for that, in a
 * mount namespace of our own: while pages are written, and by the engine when
 * all that is left to do is to publish.
 */

#define IMAGE_BYTES (64 << 20)
#define PATIENCE    (10 * NSEC_PER_SEC)

struct scene {
	volatile unsigned long *ticks; /* the job counts */
	pid_t job, worker;
	int dir_fd, said[2];
};

static int command(const char *program, const char *a, const char *b,
		   const char *c, const char *d)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, 1);
		dup2(null, 2);
		execlp(program, program, a, b, c, d, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* *ret_fd is the root of a file system that nobody else uses. */
static bool mount_image(const char *dir, int *ret_fd)
{
	char image[128], where[128];
	int fd;

	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(where, sizeof(where), "%s/mnt", dir);
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, IMAGE_BYTES) < 0 || close(fd) < 0 ||
	    mkdir(where, 0700) < 0 ||
	    command("/sbin/mkfs.ext4", "-q", "-F", image, NULL) != 0 ||
	    command("mount", "-o", "loop", image, where) != 0)
		return false;
	*ret_fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd >= 0;
}

static void be_job(struct scene *s)
{
	for (;;) {
		(*s->ticks)++;
		usleep(1000);
	}
}

/* Freeze the job, freeze the storage, write: as a checkpoint would. */
static void be_worker(struct scene *s)
{
	struct writer_buffer b;
	struct writer *w;
	struct err err;
	uint32_t stream;
	int status, i;

	if (writer_new(s->dir_fd, NULL, &w, &err) < 0 ||
	    writer_open(w, "stream", &stream, &err) < 0 ||
	    ptrace(PTRACE_SEIZE, s->job, 0, 0) < 0 ||
	    ptrace(PTRACE_INTERRUPT, s->job, 0, 0) < 0 ||
	    waitpid(s->job, &status, __WALL) != s->job ||
	    ioctl(s->dir_fd, FIFREEZE, 0) < 0)
		_exit(1);
	for (i = 0; i < 6; i++) {
		if (writer_get_buffer(w, &b, &err) < 0)
			_exit(2);
		memset(b.data, i, b.room);
		if (writer_submit(w, stream, &b, b.room, NULL, &err) < 0)
			_exit(3);
	}
	if (write(s->said[1], "w", 1) != 1)
		_exit(4);
	(void)writer_finish(w, &err);
	_exit(5);
}

static bool ticks_on(const struct scene *s, uint64_t patience)
{
	uint64_t deadline = clock_monotonic_ns() + patience;
	unsigned long before = *s->ticks;

	while (clock_monotonic_ns() < deadline) {
		if (*s->ticks != before)
			return true;
		usleep(1000);
	}
	return false;
}

static void watch(struct scene *s)
{
	int status = 0;
	char byte;

	close(s->said[1]);
	if (!ok(read(s->said[0], &byte, 1) == 1,
		"a worker writes to storage that hangs"))
		return;
	ok(!ticks_on(s, NSEC_PER_SEC / 5), "and its job stands still");
	kill(s->worker, SIGKILL);
	ok(ticks_on(s, PATIENCE), "the worker is killed: the job goes on");
	ok(ioctl(s->dir_fd, FITHAW, 0) == 0 &&
		   waitpid(s->worker, &status, 0) == s->worker &&
		   WIFSIGNALED(status),
	   "storage is back: nothing is left of the worker");
	ok(ticks_on(s, PATIENCE), "and the job still goes on");
}

static void run(struct scene *s)
{
	s->ticks = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->ticks == MAP_FAILED || pipe2(s->said, O_CLOEXEC) < 0)
		exit(99);
	s->job = fork();
	if (s->job == 0)
		be_job(s);
	s->worker = fork();
	if (s->worker == 0)
		be_worker(s);
	watch(s);
	/* Whatever went wrong: a frozen file system cannot be unmounted. */
	(void)ioctl(s->dir_fd, FITHAW, 0);
	kill(s->worker, SIGKILL);
	kill(s->job, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	close(s->said[0]);
}

/* A job that the engine saves and ends: it writes all the time. */
static int be_writer(void)
{
	for (;;) {
		if (write(STDOUT_FILENO, ".", 1) != 1)
			return 1;
		usleep(1000);
	}
}

static struct {
	char log[128], images[128];
	int dir_fd, hangs[2];
} last;

/* In the worker: storage hangs, and its deadline comes. */
static void hang_now(void)
{
	if (ioctl(last.dir_fd, FIFREEZE, 0) < 0 ||
	    write(last.hangs[1], "h", 1) != 1)
		_exit(1);
	alarm(1);
}

static bool grows(uint64_t patience)
{
	uint64_t deadline = clock_monotonic_ns() + patience;
	struct stat st = { 0 };
	off_t before;

	(void)stat(last.log, &st);
	before = st.st_size;
	while (clock_monotonic_ns() < deadline) {
		if (stat(last.log, &st) == 0 && st.st_size > before)
			return true;
		usleep(1000);
	}
	return false;
}

/* While the engine's caller waits for a worker that cannot end: 0, all well. */
static int observe(void)
{
	int wrong = 0;
	char byte;

	close(last.hangs[1]);
	if (read(last.hangs[0], &byte, 1) != 1)
		return 1;
	wrong |= grows(NSEC_PER_SEC / 5) ? 2 : 0;
	wrong |= grows(PATIENCE) ? 0 : 4;
	(void)ioctl(last.dir_fd, FITHAW, 0);
	return wrong;
}

static void publish_hangs(const char *dir, int dir_fd)
{
	char self[PATH_MAX] = "", *argv[] = { self, (char *)"--job", NULL };
	char *env[] = { NULL };
	const struct drive_place place = { .output = last.log, .cwd = dir };
	static struct drive_outcome o;
	struct drive_job *job = NULL;
	struct err err = { 0 };
	int r, status = -1;
	pid_t observer;

	(void)!readlink("/proc/self/exe", self, sizeof(self) - 1);
	snprintf(last.log, sizeof(last.log), "%s/log", dir);
	snprintf(last.images, sizeof(last.images), "%s/mnt/images", dir);
	last.dir_fd = dir_fd;
	if (!ok(drive_start(&place, argv, env, &job, &err) == 0 &&
			grows(PATIENCE) && pipe2(last.hangs, O_CLOEXEC) == 0,
		"a job is started: %s", err.text))
		return;
	observer = fork();
	if (observer == 0)
		_exit(observe());
	drive_before_publish(hang_now);
	r = drive_checkpoint(job, last.images, true, &o);
	close(last.hangs[1]);
	waitpid(observer, &status, 0);
	ok(r < 0, "storage hangs when it is to be published: %s", o.err.text);
	ok(status == 0,
	   "the job stood still, and goes on while it hangs: %#x", status);
	ok(grows(PATIENCE), "and when it is back");
	drive_end(job);
	close(last.hangs[0]);
}

/* The kernel gives up a dead process's ring a little later. */
static bool unmount(const char *where)
{
	uint64_t deadline = clock_monotonic_ns() + PATIENCE;

	while (umount(where) < 0) {
		if (errno != EBUSY || clock_monotonic_ns() > deadline)
			return false;
		usleep(5000);
	}
	return true;
}

/* In a build tree the puppet lies three folders above this program. */
static void find_puppet(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int up;

	path[n > 0 ? n : 0] = '\0';
	for (up = 0; up < 3 && strrchr(path, '/'); up++)
		*strrchr(path, '/') = '\0';
	setenv("JOBCR_LIBEXEC", path, 0);
}

int main(int argc, char **argv)
{
	struct scene s = { .dir_fd = -1 };
	char path[64], where[128];
	int fd;

	if (argc == 2 && !strcmp(argv[1], "--job"))
		return be_writer();
	find_puppet();
	if (geteuid() != 0)
		skip_all("mounting needs root");
	fd = temp_dir(path);
	close(fd);
	snprintf(where, sizeof(where), "%s/mnt", path);
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mount_image(path, &s.dir_fd)) {
		temp_dir_remove(path);
		skip_all("no file system can be mounted from a file");
	}
	run(&s);
	publish_hangs(path, s.dir_fd);
	close(s.dir_fd);
	ok(unmount(where), "the file system is taken away");
	temp_dir_remove(path);
	return done_testing();
}
