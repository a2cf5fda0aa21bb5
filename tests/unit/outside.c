/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who else holds a pipe or shared memory, as children come and go. */
#include "engine/outside.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/mapping.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static int pipe_fds[2], memory;
static char link_text[64];

/* A child that inherits everything and waits. */
static pid_t holder(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
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
	ok(outside_shmem(o, st.st_dev, st.st_ino) == pid,
	   "memory that is only mapped is found with its holder");
	end(pid);
	munmap(p, 4096);
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
	memory = memfd_create("outside", MFD_CLOEXEC);
	snprintf(link_text, sizeof(link_text), "pipe:[%llu]",
		 (unsigned long long)inode(pipe_fds[0]));
	first = holder();
	ok(outside_new(&device, 1, &o, &err) == 0, "it is made");

	look(o, &first, 1);
	ok(outside_link(o, link_text) == 0 &&
		   outside_shmem(o, device, inode(memory)) == 0,
	   "what only members hold is held by nobody else");

	second = holder();
	look(o, &first, 1);
	ok(outside_link(o, link_text) == second,
	   "a process that came later is seen with its pipe");
	ok(outside_shmem(o, device, inode(memory)) == second,
	   "and with its memfd");
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
	end(first);
	outside_free(o);
	outside_free(NULL);
	return done_testing();
}
