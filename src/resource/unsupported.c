// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last row of the table: every open file that no other row takes.  It
 * only says no, in words a user can act on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "resource/file_image.h"
#include "resource/resource.h"
#include "util/cleanup.h"
#include "util/io.h"

struct reason {
	char what[200];
	const char *remedy;
};

struct known {
	const char *text; /* the link begins with it */
	const char *what;
	const char *remedy;
};

static const struct known known_links[] = {
	{ "anon_inode:[fanotify]", "fanotify group", "close it" },
	{ "anon_inode:[io_uring]", "io_uring instance",
	  "let the program use another way of I/O (Node: UV_USE_IO_URING=0)" },
	{ "anon_inode:[userfaultfd]", "userfaultfd", "close it" },
	{ "anon_inode:[perf_event]", "performance counter (perf_event)",
	  "run without the profiler (perf, PAPI, Score-P)" },
	{ "anon_inode:bpf", "bpf object", "run without bpf programs" },
	{ "anon_inode:[bpf", "bpf object", "run without bpf programs" },
	{ "anon_inode:seccomp notify", "seccomp listener", "close it" },
	{ "anon_inode:[landlock", "landlock ruleset", "close it" },
	{ "anon_inode:[fscontext]", "mount context", "close it" },
	{ "anon_inode:kvm", "virtual machine (KVM)",
	  "virtual machines cannot be saved" },
	{ "anon_inode:sync_file", "device fence", "run without that device" },
	{ "/dev/fuse", "connection of a FUSE file system",
	  "mount that file system outside the job" },
	{ "/dev/nvidia", "GPU", "GPUs are not supported yet" },
	{ "/dev/kfd", "GPU", "GPUs are not supported yet" },
	{ "/dev/dri/", "GPU", "GPUs are not supported yet" },
	{ "/dev/infiniband/", "InfiniBand device",
	  "use shared memory or TCP between processes" },
	{ "/dev/hfi1", "Omni-Path device",
	  "use shared memory or TCP between processes" },
	{ "/dev/cxi", "Slingshot device",
	  "use shared memory or TCP between processes" },
	{ "/dev/xpmem", "XPMEM device", "use CMA or shared memory (MPI)" },
	{ "/dev/knem", "KNEM device", "use CMA or shared memory (MPI)" },
};

static const struct known *find_known(const char *link)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_links); i++)
		if (!strncmp(link, known_links[i].text,
			     strlen(known_links[i].text)))
			return &known_links[i];
	return NULL;
}

static void print_inet(const char *host, uint16_t port, char *ret, size_t room)
{
	snprintf(ret, room, "%s port %u", host, ntohs(port));
}

union address {
	struct sockaddr any;
	struct sockaddr_storage storage;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static void print_address(const union address *a, char *ret, size_t room)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		print_inet(host, a->in.sin_port, ret, room);
	} else if (a->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		print_inet(host, a->in6.sin6_port, ret, room);
	} else {
		snprintf(ret, room, "no address");
	}
}

/* Of which protocol; of those that have no name here the family says it. */
static const struct {
	int family, type, protocol; /* 0: any */
	const char *name, *remedy;
} socket_kinds[] = {
	{ AF_UNIX, SOCK_DGRAM, 0, "Unix datagram socket", NULL },
	{ AF_UNIX, SOCK_SEQPACKET, 0, "Unix packet socket", NULL },
	{ AF_UNIX, 0, 0, "Unix socket", NULL },
	{ 0, 0, IPPROTO_MPTCP, "Multipath TCP socket",
	  "let it use TCP (Go: GODEBUG=multipathtcp=0)" },
	{ 0, 0, IPPROTO_SCTP, "SCTP socket", "let it use TCP" },
	{ AF_INET, 0, IPPROTO_UDPLITE, "UDP-Lite socket", "let it use UDP" },
	{ AF_INET6, 0, IPPROTO_UDPLITE, "UDP-Lite socket", "let it use UDP" },
	{ AF_INET, SOCK_DGRAM, 0, "ping socket", NULL },
	{ AF_INET6, SOCK_DGRAM, 0, "ping socket", NULL },
	{ AF_INET, 0, 0, "raw socket", NULL },
	{ AF_INET6, 0, 0, "raw socket", NULL },
	{ AF_NETLINK, 0, 0, "netlink socket", NULL },
	{ AF_PACKET, 0, 0, "packet socket", NULL },
	{ AF_ALG, 0, 0, "socket of the kernel's crypto (AF_ALG)",
	  "let the program compute by itself" },
	{ AF_VSOCK, 0, 0, "vsock socket", NULL },
	{ AF_XDP, 0, 0, "XDP socket", NULL },
	{ AF_RDS, 0, 0, "RDS socket", "let it use TCP" },
	{ AF_SMC, 0, 0, "SMC socket", "run it without smc_run" },
	{ AF_TIPC, 0, 0, "TIPC socket", NULL },
	{ AF_CAN, 0, 0, "CAN socket", NULL },
	{ AF_BLUETOOTH, 0, 0, "Bluetooth socket", NULL },
	{ AF_KCM, 0, 0, "KCM socket", NULL },
};

static void name_kind(int family, int type, int protocol, const char **ret_name,
		      const char **ret_remedy)
{
	for (size_t i = 0; i < ARRAY_SIZE(socket_kinds); i++) {
		if ((socket_kinds[i].family &&
		     socket_kinds[i].family != family) ||
		    (socket_kinds[i].type && socket_kinds[i].type != type) ||
		    (socket_kinds[i].protocol &&
		     socket_kinds[i].protocol != protocol))
			continue;
		*ret_name = socket_kinds[i].name;
		if (socket_kinds[i].remedy)
			*ret_remedy = socket_kinds[i].remedy;
		return;
	}
	*ret_name = "socket of an uncommon family";
}

static int socket_option(int fd, int option)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, option, &v, &len) < 0 ? -1 : v;
}

static void describe_socket(const struct fd_view *fd, struct reason *ret)
{
	union address local = { 0 }, peer = { 0 };
	socklen_t local_len = sizeof(local), peer_len = sizeof(peer);
	char here[80] = "no address", there[80];
	const char *name;

	ret->remedy = "close it; files, pipes, TCP, UDP and Unix sockets "
		      "are kept";
	name_kind(socket_option(fd->own_fd, SO_DOMAIN),
		  socket_option(fd->own_fd, SO_TYPE),
		  socket_option(fd->own_fd, SO_PROTOCOL), &name, &ret->remedy);
	if (getsockname(fd->own_fd, &local.any, &local_len) == 0)
		print_address(&local, here, sizeof(here));
	if (getpeername(fd->own_fd, &peer.any, &peer_len) == 0) {
		print_address(&peer, there, sizeof(there));
		snprintf(ret->what, sizeof(ret->what),
			 "%s (%s, connected to %s)", name, here, there);
	} else {
		snprintf(ret->what, sizeof(ret->what), "%s (%s%s)", name, here,
			 socket_option(fd->own_fd, SO_ACCEPTCONN) > 0
				 ? ", listening"
				 : "");
	}
}

/* The driver's name of a device number, from sysfs; "" when unknown. */
static void device_name(const struct stat *st, char *ret, size_t room)
{
	auto_free char *text = NULL;
	struct err ignored;
	char path[64];
	const char *at;
	size_t len;

	ret[0] = '\0';
	snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u/uevent",
		 S_ISBLK(st->st_mode) ? "block" : "char", major(st->st_rdev),
		 minor(st->st_rdev));
	if (read_file_at(AT_FDCWD, path, 4096, &text, &len, &ignored) < 0)
		return;
	at = strstr(text, "DEVNAME=");
	if (at)
		snprintf(ret, room, " (%.*s)",
			 (int)strcspn(at + strlen("DEVNAME="), "\n"),
			 at + strlen("DEVNAME="));
}

static void describe_device(const struct fd_view *fd, struct reason *ret)
{
	char name[64];

	device_name(fd->stat, name, sizeof(name));
	ret->remedy = "close it; null, zero, full, random and urandom are kept";
	snprintf(ret->what, sizeof(ret->what), "%s device %u:%u%s at %.100s",
		 S_ISBLK(fd->stat->st_mode) ? "block" : "character",
		 major(fd->stat->st_rdev), minor(fd->stat->st_rdev), name,
		 fd->link);
}

static void describe(const struct fd_view *fd, struct reason *ret)
{
	const struct known *known = find_known(fd->link);
	mode_t mode = fd->stat->st_mode;
	const char *what;

	ret->remedy = "close it";
	if (known) {
		ret->remedy = known->remedy;
		snprintf(ret->what, sizeof(ret->what), "%s", known->what);
	} else if (S_ISSOCK(mode) && fd->link[0] != '/') {
		describe_socket(fd, ret);
	} else if (S_ISCHR(mode) || S_ISBLK(mode)) {
		describe_device(fd, ret);
	} else {
		what = file_system_refused(fd);
		snprintf(ret->what, sizeof(ret->what), "%s %.150s",
			 what ? what : "open file of unknown kind", fd->link);
	}
}

static bool unsupported_match(const struct fd_view *fd)
{
	(void)fd;
	return true;
}

static int unsupported_check(const struct dump_ctx *ctx,
			     const struct fd_view *fd, struct refusals *no,
			     struct err *err)
{
	struct reason why;

	(void)ctx;
	(void)err;
	describe(fd, &why);
	refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd,
		     why.remedy, "%s", why.what);
	return 0;
}

static int unsupported_dump(const struct dump_ctx *ctx,
			    const struct fd_view *fd, struct err *err)
{
	struct reason why;

	(void)ctx;
	describe(fd, &why);
	return err_set(err, -ENOTSUP, "%s", why.what);
}

const struct resource_ops res_unsupported = {
	.name = "unsupported",
	.refused = "sockets other than TCP, UDP and Unix, io_uring, userfaultfd, "
		   "performance counters, GPUs, interconnects",
	.scope = SCOPE_FILE,
	.match = unsupported_match,
	.check_file = unsupported_check,
	.dump_file = unsupported_dump,
};
