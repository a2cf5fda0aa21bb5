// SPDX-License-Identifier: GPL-2.0-or-later
/* refused KIND: opens something that cannot be saved; must not be hurt. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

static int open_tcp(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    listen(fd, 1) < 0)
		return -1;
	return fd;
}

static int ends[2];

static int open_unix_urgent(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	return send(ends[1], "!", 1, MSG_OOB) < 0 ? -1 : ends[0];
}

static int open_unix_filter(void)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, ~0u);
	struct sock_fprog program = { 1, &all };

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0)
		return -1;
	return setsockopt(ends[0], SOL_SOCKET, SO_ATTACH_FILTER, &program,
			  sizeof(program)) < 0
		       ? -1
		       : ends[0];
}

/* It cannot be seen any more, until it is read. */
static int open_unix_empty(void)
{
	int offset = 0;
	char byte;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0 ||
	    send(ends[1], "", 0, 0) < 0 ||
	    setsockopt(ends[0], SOL_SOCKET, SO_PEEK_OFF, &offset,
		       sizeof(offset)) < 0)
		return -1;
	return recv(ends[0], &byte, 1, MSG_PEEK) < 0 ? -1 : ends[0];
}

/* Whoever is told of a message is gone. */
static int open_unix_dead(void)
{
	int on = 1;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0 ||
	    setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -1;
	if (fork() == 0)
		_exit(send(ends[1], "last", 4, 0) != 4);
	return wait(NULL) < 0 ? -1 : ends[0];
}

/* What it has sent cannot be seen before it is accepted. */
static int open_unix_waiting(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "jobcr-%d-%ld",
		 (int)getpid(), (long)time(NULL));
	ends[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	ends[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(ends[0], (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    listen(ends[0], 1) < 0 ||
	    connect(ends[1], (struct sockaddr *)&un, sizeof(un)) < 0)
		return -1;
	return send(ends[1], "early", 5, 0) < 0 ? -1 : ends[0];
}

/* It leads to the socket from where it was bound only. */
static int open_unix_relative(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX,
				  .sun_path = "relative" };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (chdir(victim_path(".")) < 0 ||
	    bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || chdir("/") < 0)
		return -1;
	return fd;
}

/* To whoever has it at its end: an epoll instance belongs to nobody. */
static int open_unix_epoll(void)
{
	union {
		struct cmsghdr head;
		uint8_t room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET,
				SCM_RIGHTS } };
	struct iovec iov = { (void *)"x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int fd = epoll_create1(0);

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0 ||
	    sendmsg(ends[1], &msg, 0) < 0)
		return -1;
	close(fd);
	return ends[0];
}

static int open_udp(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int open_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static int open_inotify(void)
{
	int fd = inotify_init1(0);

	return inotify_add_watch(fd, victim_path("."), IN_CREATE) < 0 ? -1 : fd;
}

static int open_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int open_io_uring(void)
{
	uint8_t params[256] = { 0 };

	return (int)syscall(SYS_io_uring_setup, 4, params);
}

static int open_userfaultfd(void)
{
	return (int)syscall(SYS_userfaultfd, 1); /* user mode only */
}

static int open_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_TASK_CLOCK,
					.exclude_kernel = 1 };

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static int open_namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY);
}

static int open_terminal(void)
{
	return open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

static int open_maps(void)
{
	return open("/proc/self/maps", O_RDONLY);
}

static int open_secret(void)
{
	return (int)syscall(SYS_memfd_secret, 0);
}

static int open_second_link(void)
{
	char other[4096];
	int fd = open(victim_path("a"), O_RDWR | O_CREAT, 0600);

	strcpy(other, victim_path("other"));
	if (link(victim_path("a"), other) < 0)
		return -1;
	unlink(victim_path("a"));
	return fd;
}

static int open_removed_directory(void)
{
	int fd;

	mkdir(victim_path("d"), 0700);
	fd = open(victim_path("d"), O_RDONLY | O_DIRECTORY);
	rmdir(victim_path("d"));
	return fd;
}

static int open_lease(void)
{
	int fd;

	close(open(victim_path("a"), O_RDWR | O_CREAT, 0600));
	fd = open(victim_path("a"), O_RDONLY);
	return fcntl(fd, F_SETLEASE, F_RDLCK) < 0 ? -1 : fd;
}

/* The owner of a lease gets SIGIO, and dies, when anybody opens the file. */
static int open_write_lease(void)
{
	int fd = open(victim_path("a"), O_RDWR | O_CREAT, 0600);

	return fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ? -1 : fd;
}

static const struct {
	const char *kind, *named;
	int (*open)(void);
} kinds[] = {
	{ "tcp", "TCP socket (127.0.0.1 port", open_tcp },
	{ "unix_urgent", "Unix socket with urgent data", open_unix_urgent },
	{ "unix_filter", "socket with a filter of", open_unix_filter },
	{ "unix_empty", "an empty packet was sent", open_unix_empty },
	{ "unix_dead", "of a process that is not there", open_unix_dead },
	{ "unix_waiting", "that is not accepted yet", open_unix_waiting },
	{ "unix_relative", "does not lead to it from /", open_unix_relative },
	{ "unix_epoll", "sent over a Unix socket", open_unix_epoll },
	{ "udp", "UDP socket", open_udp },
	{ "netlink", "netlink socket", open_netlink },
	{ "inotify", "inotify watch", open_inotify },
	{ "pidfd", "pidfd", open_pidfd },
	{ "io_uring", "io_uring", open_io_uring },
	{ "userfaultfd", "userfaultfd", open_userfaultfd },
	{ "perf_event", "performance counter", open_perf },
	{ "namespace", "namespace net:[", open_namespace },
	{ "terminal", "terminal multiplexer", open_terminal },
	{ "maps", "/maps is not kept", open_maps },
	{ "secretmem", "secret memory", open_secret },
	{ "second_link", "is not at that path any more", open_second_link },
	{ "removed_directory", "removed directory", open_removed_directory },
	{ "lease", "lease on", open_lease },
	{ "write_lease", "lease on", open_write_lease },
};

int main(int argc, char **argv)
{
	size_t i = 0;
	int fd;

	victim_need(argc == 2, "arguments");
	while (i < sizeof(kinds) / sizeof(kinds[0]) &&
	       strcmp(kinds[i].kind, argv[1]) != 0)
		i++;
	victim_need(i < sizeof(kinds) / sizeof(kinds[0]), "kind");
	fd = kinds[i].open();
	if (fd < 0)
		victim_skip("%s cannot be had here", argv[1]);

	victim_wait_refused(kinds[i].named);

	victim_check(fcntl(fd, F_GETFD) >= 0, "it is still open");
	victim_check(victim_interrupts == 0, "no call was interrupted");
	victim_verdict(true, "%s: the job goes on", argv[1]);
}
