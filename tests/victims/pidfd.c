/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors of the process itself, its parent's, a child, a grandchild, one
 * that ended and waits to be reaped, some that are gone; watched, not blocking,
 * shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

#define OF_THREAD  O_EXCL
#define P_BY_PIDFD 3

static int open_pid(pid_t pid, unsigned int flags)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, flags);

	victim_need(fd >= 0 || (flags & OF_THREAD), "pidfd_open");
	return fd;
}

static int line_of(int fd, const char *name)
{
	char path[64], line[128];
	int value = -2;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			(void)sscanf(line + strlen(name), "%i", &value);
	if (f)
		fclose(f);
	return value;
}

static bool over(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static uint64_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void check_live(const char *who, int fd, pid_t pid)
{
	victim_check(line_of(fd, "Pid:") == pid, "%s: pid %d, not %d", who,
		     line_of(fd, "Pid:"), (int)pid);
	victim_check(!over(fd), "%s is over", who);
	victim_check(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0,
		     "%s cannot be sent a signal: %s", who, strerror(errno));
}

/* How a dead one ended, where the kernel keeps it. */
static int status_of(int fd)
{
	struct {
		uint64_t mask, rest[6];
		uint32_t last;
		int32_t status;
	} info = { .mask = 8 };

	if (ioctl(fd, _IOWR(0xff, 11, info), &info) < 0 || !(info.mask & 8))
		return -1;
	return info.status;
}

static void check_dead(const char *who, int fd, int status)
{
	siginfo_t info;

	victim_check(line_of(fd, "Pid:") == -1, "%s: pid %d", who,
		     line_of(fd, "Pid:"));
	victim_check(over(fd), "%s is not over", who);
	victim_check(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0 &&
			     errno == ESRCH,
		     "%s takes signals", who);
	victim_check(waitid(P_BY_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) <
				     0 &&
			     errno == ECHILD,
		     "%s can be waited for", who);
	victim_check(status_of(fd) == status, "%s: status %#x, not %#x", who,
		     status_of(fd), status);
}

static void check_end(int fd, int code, int status)
{
	siginfo_t info = { 0 };

	victim_check(waitid(P_BY_PIDFD, (id_t)fd, &info, WEXITED) == 0 &&
			     info.si_code == code && info.si_status == status,
		     "it ended with %d, %d", info.si_code, info.si_status);
}

/* Holds its parent's descriptor and waits for its own child. */
static void child(int parent_fd, pid_t parent, int told)
{
	pid_t grandchild = fork();
	int fd;

	if (grandchild == 0) {
		victim_wait_go();
		_exit(9);
	}
	fd = open_pid(grandchild, 0);
	(void)!write(told, &grandchild, sizeof(grandchild));
	victim_wait_go();
	check_live("a parent", parent_fd, parent);
	check_end(fd, CLD_EXITED, 9);
	pause();
}

static pid_t ends(int status)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (status & 0x7f)
			raise(status & 0x7f);
		_exit(status >> 8);
	}
	victim_need(pid > 0, "fork");
	return pid;
}

/* Gone for good; both descriptors know it. */
static void bury(int status, int *ret_one, int *ret_two, unsigned int flags)
{
	pid_t pid = ends(status);
	siginfo_t info;

	*ret_one = open_pid(pid, 0);
	*ret_two = open_pid(pid, flags);
	victim_need(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0, "waitid");
}

int main(void)
{
	int own = open_pid(getpid(), 0), thread = open_pid(getpid(), OF_THREAD);
	int kin, late, zombie, gone, gone2, killed, killed2, again, ep,
		ends2[2];
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 77 };
	pid_t pid, grandchild, dying;
	int status = 0;

	victim_need(pipe(ends2) == 0, "pipe");
	pid = fork();
	if (pid == 0) {
		close(ends2[0]);
		child(own, getppid(), ends2[1]);
		_exit(1);
	}
	kin = open_pid(pid, O_NONBLOCK);
	victim_need(read(ends2[0], &grandchild, sizeof(grandchild)) ==
			    sizeof(grandchild),
		    "a grandchild");
	close(ends2[0]);
	close(ends2[1]);
	late = open_pid(grandchild, 0);
	dying = ends(0x300);
	zombie = open_pid(dying, 0);
	victim_need(victim_until(over(zombie)), "a zombie");
	bury(0x700, &gone, &gone2, O_NONBLOCK);
	bury(SIGTERM, &killed, &killed2, 0);
	if (status_of(gone) >= 0)
		status = 1;
	again = dup(gone);
	ep = epoll_create1(EPOLL_CLOEXEC);
	victim_need(epoll_ctl(ep, EPOLL_CTL_ADD, kin, &e) == 0, "epoll");

	victim_wait();

	check_live("the process itself", own, getpid());
	if (thread >= 0) {
		check_live("its main thread", thread, getpid());
		victim_check(line_of(thread, "flags:\t0") != -2 &&
				     (line_of(thread, "flags:") & OF_THREAD),
			     "its main thread: flags %o",
			     line_of(thread, "flags:"));
	}
	check_live("a child", kin, pid);
	victim_check(fcntl(kin, F_GETFL) & O_NONBLOCK, "it blocks");
	/* Before Linux 6.9 all of them are. */
	victim_check(inode(own) != inode(kin) || !victim_kernel(6, 9),
		     "they are one");
	victim_check(victim_until(over(late)), "a grandchild goes on");
	victim_check(over(zombie), "a zombie lives");
	check_end(zombie, CLD_EXITED, 3);
	check_dead("one that exited", gone, status ? 0x700 : -1);
	check_dead("the same again", gone2, status ? 0x700 : -1);
	check_dead("a duplicate", again, status ? 0x700 : -1);
	check_dead("one that was killed", killed, status ? SIGTERM : -1);
	check_dead("the same", killed2, status ? SIGTERM : -1);
	victim_check(inode(gone) == inode(gone2) &&
			     inode(killed) == inode(killed2) &&
			     (!status || inode(gone) != inode(killed)),
		     "the dead are mixed up");
	victim_check(fcntl(gone2, F_GETFL) & O_NONBLOCK, "a dead one blocks");
	victim_check(epoll_wait(ep, &e, 1, 0) == 0, "a child is reported");
	victim_check(syscall(SYS_pidfd_send_signal, kin, SIGKILL, NULL, 0) == 0,
		     "kill by descriptor: %s", strerror(errno));
	victim_check(epoll_wait(ep, &e, 1, 10000) == 1 && e.data.u64 == 77,
		     "its end is not reported");
	check_end(kin, CLD_KILLED, SIGKILL);
	victim_verdict(victim_interrupts == 0, "descriptors of processes");
}
