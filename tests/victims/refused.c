// SPDX-License-Identifier: GPL-2.0-or-later
/* refused KIND: opens something that cannot be saved; must not be hurt. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/victim.h"

/* At a port of its own. */
static int bind_loopback(int fd, struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr =
					     htonl(INADDR_LOOPBACK) };
	return bind(fd, (struct sockaddr *)ret, len) < 0
		       ? -1
		       : getsockname(fd, (struct sockaddr *)ret, &len);
}

/* A connection that waits; its other end. */
static int open_waiting(int *ret_listener)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at;

	if (bind_loopback(listener, &at) < 0 || listen(listener, 1) < 0 ||
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	*ret_listener = listener;
	return fd;
}

static int open_tcp_waiting(void)
{
	int listener;

	return open_waiting(&listener);
}

/* Nobody accepts, so that at last one more has to wait. */
static int open_tcp_connecting(void)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at;

	if (bind_loopback(listener, &at) < 0 || listen(listener, 0) < 0)
		return -1;
	for (int i = 0; i < 10; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		struct tcp_info info = { 0 };
		socklen_t len = sizeof(info);

		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
			continue;
		if (errno == EINPROGRESS &&
		    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
		    info.tcpi_state == TCP_SYN_SENT)
			return fd;
	}
	return -1;
}

static int open_signing(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct tcp_md5sig key = { .tcpm_keylen = 3, .tcpm_key = "key" };
	struct sockaddr_in at;

	if (bind_loopback(fd, &at) < 0)
		return -1;
	memcpy(&key.tcpm_addr, &at, sizeof(at));
	return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)) < 0
		       ? -1
		       : fd;
}

/* Kernels without such keys have nothing to be refused. */
static int open_tcp_keys(void)
{
	int fd = open_signing();

	return fd < 0 || listen(fd, 1) < 0 ? -1 : fd;
}

static int open_tcp_keys_connected(void)
{
	int door = open_signing(), fd = open_signing(), other;
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (door < 0 || fd < 0 || listen(door, 1) < 0 ||
	    getsockname(door, (struct sockaddr *)&at, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	other = accept(door, NULL, NULL);
	close(door);
	return other < 0 ? -1 : fd;
}

static int open_tcp_urgent(void)
{
	int listener, fd = open_waiting(&listener);
	int other = accept(listener, NULL, NULL);

	return send(fd, "abc", 3, MSG_OOB) == 3 ? other : -1;
}

/* Urgent data in line have no signal of their own. */
static int open_tcp_urgent_inline(void)
{
	int listener, fd = open_waiting(&listener), on = 1;
	int other = accept(listener, NULL, NULL);

	setsockopt(other, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	return send(fd, "abc", 3, MSG_OOB) == 3 ? other : -1;
}

static int open_tcp_self(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at;

	if (bind_loopback(fd, &at) < 0 ||
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return fd;
}

static int open_tcp_reset(void)
{
	int listener, fd = open_waiting(&listener);
	int other = accept(listener, NULL, NULL);
	const struct linger at_once = { 1, 0 };

	setsockopt(other, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(other);
	return fd;
}

/* What it writes before it closes has no room at the other end. */
static int open_tcp_closing(void)
{
	int listener, fd = open_waiting(&listener);
	int other = accept(listener, NULL, NULL);
	static char much[65536];

	fcntl(other, F_SETFL, O_NONBLOCK);
	while (write(other, much, sizeof(much)) > 0)
		;
	close(other);
	return fd;
}

static int attach_filter(int fd)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	struct sock_fprog program = { 1, &all };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			  sizeof(program)) < 0
		       ? -1
		       : fd;
}

static int open_tcp_filter(void)
{
	return attach_filter(socket(AF_INET, SOCK_STREAM, 0));
}

static int open_udp_filter(void)
{
	return attach_filter(socket(AF_INET, SOCK_DGRAM, 0));
}

static int open_udp_empty(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in at;

	if (bind_loopback(fd, &at) < 0 ||
	    sendto(fd, "", 0, 0, (struct sockaddr *)&at, sizeof(at)) != 0)
		return -1;
	return fd;
}

static int open_xdp(void)
{
	return socket(AF_XDP, SOCK_RAW, 0);
}

static int open_bpf_map(void)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};

	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map));
}

static int open_landlock_ruleset(void)
{
	const struct landlock_ruleset_attr files = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE,
	};

	return (int)syscall(SYS_landlock_create_ruleset, &files,
			    sizeof(files.handled_access_fs), 0);
}

static int open_mount_context(void)
{
	return (int)syscall(SYS_fsopen, "tmpfs", 0);
}

/* The name of a socket, and not the socket. */
static int open_socket_name(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "name" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	close(fd);
	return open("name", O_PATH);
}

/* What waits there is looked at with a mark, which is a filter. */
static int open_udp_locked(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	struct sockaddr_in at;

	if (bind_loopback(fd, &at) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one)) < 0 ||
	    sendto(fd, "x", 1, 0, (struct sockaddr *)&at, sizeof(at)) != 1)
		return -1;
	return fd;
}

static int open_udp_corked(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in at;

	if (bind_loopback(fd, &at) < 0 ||
	    sendto(fd, "x", 1, MSG_MORE, (struct sockaddr *)&at, sizeof(at)) !=
		    1)
		return -1;
	return fd;
}

static int open_udp_member(void)
{
	struct ip_mreq group = {
		.imr_multiaddr.s_addr = htonl(0xe0010203),
		.imr_interface.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group,
			  sizeof(group)) < 0
		       ? -1
		       : fd;
}

static int open_udp_member6(void)
{
	struct ipv6_mreq group = { .ipv6mr_interface = 1 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	inet_pton(AF_INET6, "ff01::1:2:3", &group.ipv6mr_multiaddr);
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group,
			  sizeof(group)) < 0
		       ? -1
		       : fd;
}

static int open_udp_peek(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), offset = 0;

	return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset,
			  sizeof(offset)) < 0
		       ? -1
		       : fd;
}

/* It outlives the namespace's last process. */
static int open_other_network(void)
{
	int home = open("/proc/self/ns/net", O_RDONLY), fd;

	if (home < 0 || unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	victim_need(setns(home, CLONE_NEWNET) == 0, "setns");
	close(home);
	return fd;
}

static int open_mptcp(void)
{
	return socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}

static int open_udplite(void)
{
	return socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
}

static int open_raw(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int open_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int open_alg(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static int open_vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
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

/* Who saves a file that is written opens it, which must not be seen. */
static int open_inotify_readers(void)
{
	const int made = mkdir(victim_path("dir"), 0700);
	int file = open(victim_path("dir/a"), O_RDWR | O_CREAT, 0600);
	int fd = inotify_init1(0);

	if (made < 0 ||
	    inotify_add_watch(fd, victim_path("dir"),
			      IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE) < 0 ||
	    write(file, "x", 1) != 1)
		return -1;
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
static char names[2][64];

/* Which of them is it?  Both go when this has been refused. */
static int open_shm_names(void)
{
	int fd;

	for (int i = 0; i < 2; i++)
		snprintf(names[i], sizeof(names[i]), "/dev/shm/refused-%d-%d",
			 (int)getpid(), i);
	fd = open(names[0], O_RDWR | O_CREAT | O_EXCL, 0600);
	return fd < 0 || link(names[0], names[1]) < 0 ? -1 : fd;
}

/* As an ordinary user may, too. */
static int open_fanotify(void)
{
	return fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY);
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

/* It has been told, and has not answered yet. */
static int open_broken_lease(void)
{
	int fd = open_lease();

	(void)signal(SIGIO, SIG_IGN);
	return fd >= 0 && open(victim_path("a"), O_RDWR | O_NONBLOCK) < 0 &&
			       errno == EWOULDBLOCK
		       ? fd
		       : -1;
}

static int open_unlinked_lease(void)
{
	int fd = open_lease();

	return unlink(victim_path("a")) < 0 ? -1 : fd;
}

/* The owner of a lease gets SIGIO, and dies, when anybody opens the file. */
static int open_write_lease(void)
{
	int fd = open(victim_path("a"), O_RDWR | O_CREAT, 0600);

	return fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ? -1 : fd;
}

/* Open under another number than it was added by. */
static int open_epoll_signalfd(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	int epoll = epoll_create1(0), signals, other;
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGURG);
	signals = signalfd(-1, &one, 0);
	other = fcntl(signals, F_DUPFD, 100);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &e) < 0 ||
	    close(signals) < 0)
		return -1;
	return other;
}

static int open_queue(struct mq_attr *attr)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/jobcr-refused-%d", (int)getpid());
	fd = (int)mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, attr);
	/* In the node's namespace it would stay. */
	mq_unlink(name);
	return fd;
}

static int open_empty_queue(void)
{
	return open_queue(NULL);
}

/* Only root may have such. */
static int open_large_queue(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = (2 << 20) + 1 };
	int fd;

	(void)setrlimit(RLIMIT_MSGQUEUE, &none);
	fd = open_queue(&attr);
	return mq_send((mqd_t)fd, "message", 8, 7) < 0 ? -1 : fd;
}

static int open_notified_queue(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	int fd = open_queue(NULL);

	return mq_notify((mqd_t)fd, &event) < 0 ? -1 : fd;
}

static const struct {
	const char *kind, *named;
	int (*open)(void);
	bool unread; /* nothing is to be read from it afterwards */
} kinds[] = {
	{ "tcp_waiting", "that nobody has accepted yet", open_tcp_waiting },
	{ "tcp_urgent", "urgent data that was not read", open_tcp_urgent },
	{ "tcp_urgent_inline", "urgent data that was not read",
	  open_tcp_urgent_inline },
	{ "tcp_self", "connected to itself", open_tcp_self },
	{ "tcp_reset", "an error that was not read yet", open_tcp_reset },
	{ "tcp_closing", "which is closed already", open_tcp_closing },
	{ "tcp_connecting", "that is being connected", open_tcp_connecting },
	{ "tcp_keys", "keys (TCP_MD5SIG)", open_tcp_keys },
	{ "tcp_keys_connected", "keys (TCP_MD5SIG)", open_tcp_keys_connected },
	{ "tcp_filter", "socket with a filter", open_tcp_filter },
	{ "udp_filter", "socket with a filter", open_udp_filter },
	{ "udp_empty", "an empty datagram unread", open_udp_empty },
	{ "udp_locked", "SO_LOCK_FILTER", open_udp_locked },
	{ "socket_name", "of unknown kind", open_socket_name },
	{ "udp_corked", "a datagram that is not sent yet", open_udp_corked },
	{ "udp_member", "member of multicast groups", open_udp_member },
	{ "udp_member6", "member of multicast groups", open_udp_member6 },
	{ "udp_peek", "offset of peeks", open_udp_peek },
	{ "other_network", "of a network namespace that is not the node's",
	  open_other_network },
	{ "mptcp", "Multipath TCP socket", open_mptcp },
	{ "udplite", "UDP-Lite socket", open_udplite },
	{ "raw", "raw socket", open_raw },
	{ "packet", "packet socket", open_packet },
	{ "alg", "socket of the kernel's crypto", open_alg },
	{ "vsock", "vsock socket", open_vsock },
	{ "unix_urgent", "Unix socket with urgent data", open_unix_urgent },
	{ "unix_filter", "socket with a filter of", open_unix_filter },
	{ "unix_empty", "an empty packet was sent", open_unix_empty },
	{ "unix_dead", "of a process that is not there", open_unix_dead },
	{ "unix_waiting", "that is not accepted yet", open_unix_waiting },
	{ "unix_relative", "does not lead to it from /", open_unix_relative },
	{ "unix_epoll", "sent over a Unix socket", open_unix_epoll },
	{ "epoll_signalfd", "a signalfd that the process does not have",
	  open_epoll_signalfd },
	{ "netlink", "netlink socket", open_netlink },
	{ "inotify", "events not read yet", open_inotify },
	{ "inotify_readers", "tell the job that a checkpoint reads",
	  open_inotify_readers, true },
	{ "inotify_removed", "inotify watch 1 on inode", open_inotify_removed },
	{ "pidfd", "outside the job", open_pidfd },
	{ "thread_pidfd", "pidfd of a single thread", open_thread_pidfd },
	{ "io_uring", "io_uring", open_io_uring },
	{ "userfaultfd", "userfaultfd", open_userfaultfd },
	{ "xdp", "XDP socket", open_xdp },
	{ "bpf_map", "bpf object", open_bpf_map },
	{ "landlock_ruleset", "landlock ruleset", open_landlock_ruleset },
	{ "mount_context", "mount context", open_mount_context },
	{ "perf_event", "performance counter", open_perf },
	{ "namespace", "namespace net:[", open_namespace },
	{ "shm_names", "shared memory with 2 names", open_shm_names },
	{ "fanotify", "fanotify group", open_fanotify },
	{ "maps", "/maps is not kept", open_maps },
	{ "secretmem", "secret memory", open_secret },
	{ "second_link", "is not at that path any more", open_second_link },
	{ "removed_directory", "removed directory", open_removed_directory },
	{ "broken_lease", "that somebody waits for", open_broken_lease },
	{ "unlinked_lease", "whose contents are in the snapshot",
	  open_unlinked_lease },
	{ "write_lease", "for writing", open_write_lease },
	{ "large_queue", " has messages of 8 bytes", open_large_queue },
	{ "notified_queue", "a process to notify", open_notified_queue },
	{ "queue_of_the_node", "message queue", open_empty_queue },
};

int main(int argc, char **argv)
{
	size_t i = 0;
	int fd, bytes = 0;

	victim_need(argc == 2, "arguments");
	while (i < sizeof(kinds) / sizeof(kinds[0]) &&
	       strcmp(kinds[i].kind, argv[1]) != 0)
		i++;
	victim_need(i < sizeof(kinds) / sizeof(kinds[0]), "kind");
	fd = kinds[i].open();
	if (fd < 0)
		victim_skip("%s cannot be had here", argv[1]);

	victim_wait_refused(kinds[i].named);
	for (int n = 0; n < 2; n++)
		if (names[n][0])
			unlink(names[n]);

	victim_check(fcntl(fd, F_GETFD) >= 0, "it is still open");
	if (kinds[i].unread && ioctl(fd, FIONREAD, &bytes) < 0)
		bytes = -1;
	victim_check(!bytes, "%d bytes to read, of nobody's doing", bytes);
	victim_check(victim_interrupts == 0, "no call was interrupted");
	victim_verdict(true, "%s: the job goes on", argv[1]);
}
