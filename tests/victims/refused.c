// SPDX-License-Identifier: GPL-2.0-or-later
/* refused KIND: opens something that cannot be saved; must not be hurt. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
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

static int open_unix(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ? -1 : ends[0];
}

static int open_udp(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int open_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

/* An event waits. */
static int open_inotify(void)
{
	int fd = inotify_init1(0);

	if (inotify_add_watch(fd, victim_path("."), IN_CREATE) < 0)
		return -1;
	close(open(victim_path("a"), O_RDWR | O_CREAT, 0600));
	return fd;
}

/* The watch holds an inode that has no name. */
static int open_inotify_removed(void)
{
	int fd = inotify_init1(0);
	int file = open(victim_path("a"), O_RDWR | O_CREAT, 0600);

	if (inotify_add_watch(fd, victim_path("a"), IN_MODIFY) < 0 ||
	    file < 0 || unlink(victim_path("a")) < 0)
		return -1;
	return fd;
}

/* Init is none of the job's processes. */
static int open_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, 1, 0);
}

static void *wait_go(void *arg)
{
	*(volatile pid_t *)arg = (pid_t)syscall(SYS_gettid);
	victim_wait_go();
	return NULL;
}

static int open_thread_pidfd(void)
{
	static volatile pid_t tid;
	pthread_t thread;

	if (pthread_create(&thread, NULL, wait_go, (void *)&tid) != 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, victim_until(tid), O_EXCL);
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

/* Nobody has opened the other end: there is no telling what was typed. */
static int open_terminal(void)
{
	return open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

/* Both ends, which pass on what comes. */
static int open_terminals(int *ret_slave)
{
	int master = open_terminal(), off = 0;
	struct termios t;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &off) < 0)
		return -1;
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (*ret_slave < 0 || tcgetattr(*ret_slave, &t) < 0)
		return -1;
	cfmakeraw(&t);
	return tcsetattr(*ret_slave, TCSANOW, &t) < 0 ? -1 : master;
}

static int fill(int from, int to)
{
	char much[4090] = { 0 };
	int there = 0;

	if (write(to, much, sizeof(much)) != sizeof(much))
		return -1;
	return victim_until(ioctl(from, FIONREAD, &there) == 0 &&
			    there == sizeof(much))
		       ? 0
		       : -1;
}

static int open_terminal_typed(void)
{
	int slave = -1, master = open_terminals(&slave);

	return fill(slave, master) < 0 ? -1 : master;
}

static int open_terminal_output(void)
{
	int slave = -1, master = open_terminals(&slave);

	return fill(master, slave) < 0 ? -1 : master;
}

/* A master in packet mode is to be told something. */
static int open_terminal_packet(void)
{
	int slave = -1, master = open_terminals(&slave), on = 1;

	return ioctl(master, TIOCPKT, &on) < 0 || tcflush(slave, TCIFLUSH) < 0
		       ? -1
		       : master;
}

static int open_terminal_locked(void)
{
	int slave = -1, master = open_terminals(&slave);
	struct termios all;

	memset(&all, 0xff, sizeof(all));
	return ioctl(slave, TIOCSLCKTRMIOS, &all) < 0 ? -1 : master;
}

/* n_null of the kernel: all is thrown away. */
static int open_terminal_discipline(void)
{
	int slave = -1, master = open_terminals(&slave), discipline = 27;

	return ioctl(slave, TIOCSETD, &discipline) < 0 ? -1 : master;
}

static int open_terminal_given(void)
{
	int slave = -1, master = open_terminals(&slave);

	return fchown(slave, 12345, (gid_t)-1) < 0 ? -1 : master;
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
	{ "unix", "Unix socket", open_unix },
	{ "udp", "UDP socket", open_udp },
	{ "netlink", "netlink socket", open_netlink },
	{ "inotify", "events not read yet", open_inotify },
	{ "inotify_removed", "inotify watch 1 on inode", open_inotify_removed },
	{ "pidfd", "outside the job", open_pidfd },
	{ "thread_pidfd", "pidfd of a single thread", open_thread_pidfd },
	{ "io_uring", "io_uring", open_io_uring },
	{ "userfaultfd", "userfaultfd", open_userfaultfd },
	{ "perf_event", "performance counter", open_perf },
	{ "namespace", "namespace net:[", open_namespace },
	{ "terminal", "whose other end nobody has opened", open_terminal },
	{ "terminal_typed", "much typed input", open_terminal_typed },
	{ "terminal_output", "much output", open_terminal_output },
	{ "terminal_packet", "a change of its state", open_terminal_packet },
	{ "terminal_locked", "settings that are locked", open_terminal_locked },
	{ "terminal_discipline", "line discipline", open_terminal_discipline },
	{ "terminal_given", "a file that is not its", open_terminal_given },
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
