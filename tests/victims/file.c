// SPDX-License-Identifier: GPL-2.0-or-later
/* Files and directories: flags, positions, sharing, numbers, owners. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

#define HIGH             900
#define KERNEL_LARGEFILE 0100000 /* libc says it is 0 */

static int make(const char *name, int flags, mode_t mode)
{
	int fd = open(victim_path(name), flags | O_CREAT | O_EXCL | O_TRUNC,
		      mode);

	victim_need(fd >= 0, name);
	return fd;
}

static bool has(int fd, int flags, const char *name)
{
	int now = fcntl(fd, F_GETFL) & ~KERNEL_LARGEFILE;

	return victim_check(now == flags, "%s: flags %#x, not %#x", name, now,
			    flags);
}

static void at(int fd, long long want, const char *name)
{
	long long now = lseek(fd, 0, SEEK_CUR);

	victim_check(now == want, "%s: at %lld, not %lld", name, now, want);
}

/* The name of the next entry of a directory. */
static bool next_entry(int dir, char name[256])
{
	char buf[64]; /* one or two entries, all names are short */
	long n = syscall(SYS_getdents64, dir, buf, sizeof(buf));

	if (n <= 0)
		return false;
	snprintf(name, 256, "%.40s", ((struct dirent *)(void *)buf)->d_name);
	return true;
}

/* Only after go: moves the position that it shares, then says so. */
static pid_t start_child(int shared)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	victim_wait_go();
	victim_check(lseek(shared, 100, SEEK_CUR) == 107,
		     "the child's position is the parent's");
	_exit(0);
}

static void check_owner(int fd)
{
	struct f_owner_ex owner = { 0 };

	victim_check(fcntl(fd, F_GETOWN_EX, &owner) == 0 &&
			     owner.type == F_OWNER_PID && owner.pid == getpid(),
		     "the owner is process %d", owner.pid);
	victim_check(fcntl(fd, F_GETSIG) == SIGRTMIN + 3,
		     "the owner's signal is %d", fcntl(fd, F_GETSIG));
}

int main(void)
{
	struct f_owner_ex self = { F_OWNER_PID, getpid() };
	int shared, twin, append, sync, hidden, path, dir, input, status;
	char first[256], next[256], text[32] = "";
	struct stat st;
	pid_t child;

	shared = make("shared", O_RDWR, 0600);
	victim_need(write(shared, "0123456789", 10) == 10, "write");
	lseek(shared, 7, SEEK_SET);
	victim_need(dup3(shared, HIGH, O_CLOEXEC) == HIGH, "dup3");
	twin = open(victim_path("shared"), O_RDONLY | O_NONBLOCK);
	lseek(twin, 1ll << 40, SEEK_SET);
	append = make("append", O_WRONLY | O_APPEND, 0644);
	victim_need(write(append, "one\n", 4) == 4, "write");
	sync = make("sync", O_RDWR | O_SYNC | O_NOATIME, 0600);
	hidden = make("hidden", O_WRONLY, 0200);
	victim_need(write(hidden, "abc", 3) == 3, "write");
	path = open(victim_path("shared"), O_PATH);
	dir = open(victim_path("."), O_RDONLY | O_DIRECTORY);
	victim_need(next_entry(dir, first), "getdents64");
	input = open("/etc/passwd", O_RDONLY);
	victim_need(input >= 0 && read(input, text, 5) == 5, "input");
	victim_need(fcntl(twin, F_SETOWN_EX, &self) == 0 &&
			    fcntl(twin, F_SETSIG, SIGRTMIN + 3) == 0,
		    "owner");
	child = start_child(shared);

	victim_wait();

	victim_need(waitpid(child, &status, 0) == child && status == 0,
		    "child");
	at(shared, 107, "shared");
	at(HIGH, 107, "its duplicate");
	at(twin, 1ll << 40, "twin");
	at(input, 5, "input");
	at(append, 4, "append");
	has(shared, O_RDWR, "shared");
	has(twin, O_RDONLY | O_NONBLOCK, "twin");
	has(append, O_WRONLY | O_APPEND, "append");
	has(sync, O_RDWR | O_SYNC | O_NOATIME, "sync");
	has(hidden, O_WRONLY, "hidden");
	has(path, O_PATH, "path");
	check_owner(twin);
	victim_check(fcntl(HIGH, F_GETFD) == FD_CLOEXEC &&
			     fcntl(shared, F_GETFD) == 0,
		     "close-on-exec belongs to the number");
	victim_check(write(append, "two\n", 4) == 4 &&
			     fstat(append, &st) == 0 && st.st_size == 8,
		     "appended at %lld", (long long)st.st_size);
	victim_check(pread(shared, text, 10, 0) == 10 &&
			     !memcmp(text, "0123456789", 10),
		     "contents of shared");
	victim_check(write(hidden, "def", 3) == 3 && fstat(hidden, &st) == 0 &&
			     st.st_size == 6,
		     "a file that cannot be read is written on");
	victim_check(next_entry(dir, next) && strcmp(first, next) != 0,
		     "a directory is read on after %s", first);
	victim_verdict(true, "files come back as they were");
}
