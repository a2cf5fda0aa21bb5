/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who else holds a pipe or shared memory, as children come and go. */
#include "engine/outside.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/mapping.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"

static int pipe_fds[2], memory;
static char link_text[64];
static bool own_mounts;

static void wait_forever(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* A child that inherits everything and waits. */
static pid_t holder(void)
{
	pid_t pid = fork();

	if (pid == 0)
		wait_forever();
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static uint64_t inode(int fd)
{
	struct stat st = { 0 };

	fstat(fd, &st);
	return st.st_ino;
}

static bool look(struct outside *o, const pid_t *members, size_t count)
{
	struct err err = { 0 };

	return ok(outside_look(o, members, count, &err) == 0,
		  "all others are looked at %s", err.text);
}

/* 0 also if it is not known. */
static pid_t shmem(struct outside *o, dev_t dev, uint64_t ino)
{
	bool unread;
	pid_t pid = outside_shmem(o, dev, ino, &unread);

	return unread ? 0 : pid;
}

static void test_mapping(struct outside *o, pid_t first)
{
	struct stat st = { 0 };
	char path[96];
	void *p =
		mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = holder();

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		 (unsigned long)p, (unsigned long)p + 4096);
	if (stat(path, &st) < 0) {
		skip("map_files needs root");
		end(pid);
		return;
	}
	look(o, &first, 1);
	ok(shmem(o, st.st_dev, st.st_ino) == pid,
	   "memory that is only mapped is found with its holder");
	end(pid);
	munmap(p, 4096);
}

/* A child whose maps keep who reads them waiting, as a held mmap_lock does. */
static pid_t stuck(uid_t uid, const char *fifo)
{
	int ready[2];
	char path[64];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		if (uid && setresuid(uid, uid, uid) < 0)
			_exit(1);
		close(ready[0]);
		close(ready[1]);
		wait_forever();
	}
	close(ready[1]);
	(void)!read(ready[0], path, 1);
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	if (mount(fifo, path, NULL, MS_BIND, NULL) < 0) {
		end(pid);
		return 0;
	}
	return pid;
}

/* Another's processes, more than there is time for. */
static void test_strangers(struct outside *o, pid_t first, dev_t device,
			   const char *fifo)
{
	uint64_t before = clock_monotonic_ns();
	pid_t pids[20], holds = holder();
	size_t i;
	bool unread = true;

	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = stuck(65534, fifo);
	look(o, &first, 1);
	ok(clock_monotonic_ns() - before < 2 * NSEC_PER_SEC,
	   "others cannot hold it up for long");
	ok(outside_shmem(o, device, 1, &unread) == 0 && !unread,
	   "nor forbid it: they have no right to the memory");
	ok(shmem(o, device, inode(memory)) == holds,
	   "and who has the rights is looked at all the same");
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		end(pids[i]);
	end(holds);
}

/* With a right to the memory it may hold any of it. */
static void test_own(struct outside *o, pid_t first, dev_t device,
		     const char *fifo)
{
	uint64_t before = clock_monotonic_ns();
	pid_t pid = stuck(0, fifo);
	bool unread = false;

	look(o, &first, 1);
	ok(clock_monotonic_ns() - before < 2 * NSEC_PER_SEC,
	   "the user's own cannot hold it up for long either");
	ok(outside_shmem(o, device, 1, &unread) == pid && unread,
	   "what it has mapped is not known");
	ok(outside_link(o, "pipe:[1]") == 0, "which descriptors it has is");
	end(pid);
	look(o, &first, 1);
	ok(outside_shmem(o, device, 1, &unread) == 0 && !unread,
	   "and when it is gone it holds nothing");
}

/* All share the time that one may take: the tree stands still meanwhile. */
static void test_many_own(struct outside *o, pid_t first, const char *fifo)
{
	uint64_t before = 0;
	pid_t pids[20];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = stuck(0, fifo);
	for (int k = 0; k < 2; k++) {
		before = clock_monotonic_ns();
		look(o, &first, 1);
	}
	ok(clock_monotonic_ns() - before < 2 * NSEC_PER_SEC,
	   "many of the tree's own that hang take no longer than one");
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		end(pids[i]);
}

static void test_stuck(struct outside *o, pid_t first, dev_t device)
{
	char fifo[] = "/tmp/outside.XXXXXX";
	pid_t pid;

	if (!own_mounts || !mkdtemp(fifo) || rmdir(fifo) < 0 ||
	    mkfifo(fifo, 0600) < 0) {
		skip("a mount namespace needs root");
		return;
	}
	alarm(60);
	pid = stuck(0, fifo);
	if (pid) {
		end(pid);
		test_many_own(o, first, fifo);
		test_own(o, first, device, fifo);
		test_strangers(o, first, device, fifo);
	} else
		skip("nothing can be mounted over maps");
	unlink(fifo);
}

int main(void)
{
	struct outside *o = NULL;
	struct err err = { 0 };
	pid_t first, second;
	struct mapping_devices devices;
	dev_t device;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0 ||
	    mapping_devices(&devices, &err) < 0)
		skip_all("no pipe or no memfd");
	device = devices.shmem;
	own_mounts = unshare(CLONE_NEWNS) == 0 &&
		     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	memory = memfd_create("outside", MFD_CLOEXEC);
	snprintf(link_text, sizeof(link_text), "pipe:[%llu]",
		 (unsigned long long)inode(pipe_fds[0]));
	first = holder();
	ok(outside_new(&device, 1, &o, &err) == 0, "it is made");

	look(o, &first, 1);
	ok(outside_link(o, link_text) == 0 &&
		   shmem(o, device, inode(memory)) == 0,
	   "what only members hold is held by nobody else");

	second = holder();
	look(o, &first, 1);
	ok(outside_link(o, link_text) == second,
	   "a process that came later is seen with its pipe");
	ok(shmem(o, device, inode(memory)) == second, "and with its memfd");
	ok(outside_link(o, "pipe:[1]") == 0 && outside_link(o, "x") == 0,
	   "what nobody holds is held by nobody");

	look(o,
	     (pid_t[]){ first < second ? first : second,
			first < second ? second : first },
	     2);
	ok(outside_link(o, link_text) == 0,
	   "a stranger that turns out a member is forgotten");
	end(second);

	test_mapping(o, first);
	test_stuck(o, first, device);
	end(first);
	outside_free(o);
	outside_free(NULL);
	return done_testing();
}
