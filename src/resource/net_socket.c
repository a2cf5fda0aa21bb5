// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/net_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "images/limits.h"
#include "kernel/queue_mark.h"
#include "repair/pair.h"
#include "resource/net_place.h"
#include "util/cleanup.h"
#include "util/io.h"

#define SO_BUF_LOCK_ 72 /* Linux 5.14 */
#define LOCK_BITS    3u
#define FIRST_FREE   1024 /* net.ipv4.ip_unprivileged_port_start */

int net_option(int fd, int level, int name)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, level, name, &v, &len) < 0 ? -1 : v;
}

bool net_match(const struct fd_view *fd, int type, int protocol)
{
	int domain;

	if (fd->fd < 0 || !S_ISSOCK(fd->stat->st_mode) || fd->link[0] == '/')
		return false;
	domain = net_option(fd->own_fd, SOL_SOCKET, SO_DOMAIN);
	return (domain == AF_INET || domain == AF_INET6) &&
	       net_option(fd->own_fd, SOL_SOCKET, SO_TYPE) == type &&
	       net_option(fd->own_fd, SOL_SOCKET, SO_PROTOCOL) == protocol;
}

int net_local(int fd, union net_address *ret, struct err *err)
{
	socklen_t len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (getsockname(fd, &ret->any, &len) < 0)
		return err_sys(err, "getsockname");
	return 0;
}

int net_peer(int fd, union net_address *ret, struct err *err)
{
	socklen_t len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (getpeername(fd, &ret->any, &len) == 0)
		return 0;
	memset(ret, 0, sizeof(*ret));
	return errno == ENOTCONN ? 0 : err_sys(err, "getpeername");
}

bool net_has_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	union net_address peer;
	struct err ignored;

	return net_peer(fd, &peer, &ignored) == 0 && !peer.any.sa_family &&
	       poll(&p, 1, 0) == 1 && p.revents & POLLRDHUP;
}

static uint16_t port_of(const union net_address *a)
{
	return ntohs(a->in.sin_port);
}

bool net_is_bound(const union net_address *local)
{

	if (port_of(local))
		return true;
	return local->any.sa_family == AF_INET
		       ? local->in.sin_addr.s_addr
		       : !IN6_IS_ADDR_UNSPECIFIED(&local->in6.sin6_addr);
}

void net_refuse(const struct fd_view *fd, struct refusals *no,
		const char *remedy, const char *fmt, ...)
{
	char what[220];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	refusals_add(no, fd->task->ns_pid, fd->task->stat->comm, fd->fd, remedy,
		     "%s", what);
}

static uint64_t first_free_port(void)
{
	auto_free char *text = NULL;
	struct err ignored;
	uint64_t port;
	size_t len;

	if (read_file_at(AT_FDCWD,
			 "/proc/sys/net/ipv4/ip_unprivileged_port_start", 64,
			 &text, &len, &ignored) < 0)
		return FIRST_FREE;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, 65536, &port) < 0 ? FIRST_FREE : port;
}

/* Inherited from somebody who had more rights: the user cannot bind it. */
static int check_port(const struct dump_ctx *ctx, const struct fd_view *fd,
		      struct refusals *no, struct err *err)
{
	union net_address local;
	char text[80];
	int r = net_local(fd->own_fd, &local, err);

	if (r < 0 || !ctx->options->owner_uid || !port_of(&local) ||
	    port_of(&local) >= first_free_port())
		return r;
	pair_address_text(&local, text, sizeof(text));
	net_refuse(fd, no, "use a port that every user may have",
		   "socket at %s, which its user may not use", text);
	return 0;
}

static int check_filter(const struct fd_view *fd, struct refusals *no)
{
	socklen_t count = 0;

	/* One of ours: who reads the queue knows what it means. */
	if (queue_marked(fd->own_fd))
		return 0;
	/* Of an eBPF program the kernel tells only that it is there. */
	if (getsockopt(fd->own_fd, SOL_SOCKET, SO_ATTACH_FILTER, NULL,
		       &count) == 0 &&
	    !count)
		return 0;
	net_refuse(fd, no, "remove it (SO_DETACH_FILTER)",
		   "socket with a filter (SO_ATTACH_FILTER)");
	return 0;
}

/* IP options, in every packet. */
static void check_ip_options(const struct fd_view *fd, struct refusals *no)
{
	uint8_t bytes[64];
	socklen_t len = sizeof(bytes);

	if (getsockopt(fd->own_fd, IPPROTO_IP, IP_OPTIONS, bytes, &len) == 0 &&
	    len)
		net_refuse(fd, no, "do not use IP_OPTIONS",
			   "socket with IP options");
}

static bool is_our_network(int ns_fd)
{
	struct stat ours, theirs;

	return stat("/proc/self/ns/net", &ours) == 0 &&
	       fstat(ns_fd, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
	       ours.st_dev == theirs.st_dev;
}

/* Others are where its addresses mean something else. */
static int check_network(const struct fd_view *fd, struct refusals *no,
			 struct err *err)
{
	auto_close int ns = ioctl(fd->own_fd, SIOCGSKNS);

	if (ns < 0)
		return err_sys(err, "SIOCGSKNS");
	if (!is_our_network(ns))
		net_refuse(fd, no, "run the job in the network of the node",
			   "socket of a network namespace that is not the "
			   "node's");
	return 0;
}

static void check_error(const struct fd_view *fd, struct refusals *no)
{
	struct pollfd p = { .fd = fd->own_fd };

	/* To read it is to take it. */
	if (poll(&p, 1, 0) == 1 && p.revents & POLLERR)
		net_refuse(fd, no,
			   "let the program take it (SO_ERROR), or close it",
			   "socket with an error that was not read yet");
}

int net_check(const struct dump_ctx *ctx, const struct fd_view *fd,
	      struct refusals *no, struct err *err)
{
	const struct dump_engine *e = ctx->engine;
	pid_t holder = e->held_outside(e->arg, fd->link);
	int r;

	if (holder)
		net_refuse(fd, no,
			   "end that process, or let it close the socket",
			   "socket shared with process %d outside the job",
			   (int)holder);
	r = check_network(fd, no, err);
	if (r == 0)
		r = check_port(ctx, fd, no, err);
	if (r == 0)
		r = check_filter(fd, no);
	if (r < 0)
		return r;
	check_ip_options(fd, no);
	if (fd->task->leader)
		check_error(fd, no);
	if (net_option(fd->own_fd, SOL_SOCKET, SO_PEEK_OFF) >= 0)
		net_refuse(fd, no, "set it to -1",
			   "socket with an offset of peeks (SO_PEEK_OFF)");
	return 0;
}

int net_fill(const struct fd_view *fd, SocketCommon *ret,
	     struct net_parts *parts, struct err *err)
{
	const int own = fd->own_fd;
	union net_address local;
	int lock, r;

	r = net_local(own, &local, err);
	if (r < 0)
		return r;
	lock = net_option(own, SOL_SOCKET, SO_BUF_LOCK_);
	if (lock < 0)
		return err_sys(err, "SO_BUF_LOCK");
	ret->domain = local.any.sa_family;
	ret->v6only = local.any.sa_family == AF_INET6 &&
		      net_option(own, IPPROTO_IPV6, IPV6_V6ONLY) == 1;
	ret->reuse_address = net_option(own, SOL_SOCKET, SO_REUSEADDR) > 0;
	ret->reuse_port = net_option(own, SOL_SOCKET, SO_REUSEPORT) > 0;
	ret->send_buffer = (uint32_t)net_option(own, SOL_SOCKET, SO_SNDBUF);
	ret->receive_buffer = (uint32_t)net_option(own, SOL_SOCKET, SO_RCVBUF);
	ret->buffer_lock = (uint32_t)lock & LOCK_BITS;
	if (net_is_bound(&local)) {
		net_put_address(&local, &parts->local, parts->host);
		ret->local = &parts->local;
	}
	r = socket_options_read(own, &parts->options, err);
	ret->options = parts->options.list;
	ret->n_options = parts->options.count;
	return r;
}

/* Sockets belong to who makes them: their user. */
static int set_int(int fd, int level, int name, int value, const char *what,
		   struct err *err)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return err_sys(err, "%s %d", what, value);
	return 0;
}

/* The kernel doubles what it is given. */
static int set_buffers(int fd, uint32_t receive, uint32_t send, struct err *err)
{
	const uint32_t most = 4 * STREAM_MAX_BYTES;
	int r;

	if (receive > most || send > most)
		return err_set(err, -EBADMSG, "buffers of %u and %u bytes",
			       receive, send);
	r = set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)(receive / 2),
		    "receive buffer", err);
	return r < 0 ? r
		     : set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)(send / 2),
			       "send buffer", err);
}

static int check_new_network(const struct restore_ctx *ctx, struct err *err)
{
	auto_close int ns =
		openat(ctx->init_proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);

	if (ns < 0)
		return err_sys(err, "network of the job");
	return is_our_network(ns)
		       ? 0
		       : err_set(err, -ENOTSUP,
				 "the job's network namespace is not the "
				 "node's, in which its sockets would be");
}

int net_make(const struct restore_ctx *ctx, uint32_t domain, int type,
	     uint32_t receive_buffer, uint32_t send_buffer, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	auto_close int fd = -EBADF;
	int r;

	if (domain != AF_INET && domain != AF_INET6)
		return err_set(err, -EBADMSG, "family %u", domain);
	r = check_new_network(ctx, err);
	if (r == 0)
		r = as_user(&user, err);
	if (r < 0)
		return r;
	fd = socket((int)domain, type | SOCK_CLOEXEC, 0);
	r = fd < 0 ? err_sys(err, "socket") : 0;
	as_root();
	if (r == 0)
		r = set_buffers(fd, receive_buffer, send_buffer, err);
	return r < 0 ? r : take_fd(&fd);
}

/* All that is about networks; libcap would change all threads. */
static int network_rights(bool have, struct err *err)
{
	const uint32_t bits = 1u << CAP_NET_BIND_SERVICE | 1u << CAP_NET_ADMIN |
			      1u << CAP_NET_RAW;
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return err_sys(err, "capget");
	if (have)
		data[0].effective |= bits & data[0].permitted;
	else
		data[0].effective &= ~bits;
	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(err, "capset");
	return 0;
}

int net_begin(const struct restore_ctx *ctx, struct err *err)
{
	const struct user_id user = restore_user(ctx);
	int r = as_user(&user, err);

	if (r < 0 || !ctx->owner->uid)
		return r;
	r = network_rights(false, err);
	if (r < 0)
		as_root();
	return r;
}

void net_end(const struct restore_ctx *ctx)
{
	struct err ignored;

	as_root();
	/* What is permitted can be had back. */
	if (ctx->owner->uid)
		(void)network_rights(true, &ignored);
}

int net_bind(const struct restore_ctx *ctx, int fd, const SocketCommon *rec,
	     bool reuse_address, struct err *err)
{
	union net_address local;
	int r = socket_options_set(fd, rec->options, rec->n_options,
				   OPTIONS_UNBOUND, err);

	if (r == 0 && rec->domain == AF_INET6)
		r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, rec->v6only,
			    "IPV6_V6ONLY", err);
	if (r == 0)
		r = set_int(fd, SOL_SOCKET, SO_REUSEADDR, reuse_address,
			    "SO_REUSEADDR", err);
	if (r == 0)
		r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, rec->reuse_port,
			    "SO_REUSEPORT", err);
	if (r < 0 || !rec->local)
		return r;
	r = net_place_address(ctx, rec->local, rec->domain, &local, err);
	if (r < 0)
		return r;
	if (bind(fd, &local.any, pair_address_size(&local)) == 0)
		return 0;
	return pair_address_failed("bind to", &local, errno, err);
}

/* The last number of a file; 0: unknown. */
static uint64_t last_number(const char *path)
{
	auto_free char *text = NULL;
	struct err ignored;
	uint64_t n = 0;
	size_t len;
	char *at;

	if (read_file_at(AT_FDCWD, path, 256, &text, &len, &ignored) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	at = strrchr(text, '\t');
	return parse_u64(at ? at + 1 : text, UINT32_MAX, &n) < 0 ? 0 : n;
}

/* No more than a user's program gets by itself, or may ask for. */
static uint32_t allowed(uint32_t wanted, const char *grown, const char *asked)
{
	uint64_t most = 2 * last_number(asked), by_itself = last_number(grown);

	if (by_itself > most)
		most = by_itself;
	return wanted < most ? wanted : (uint32_t)most;
}

static int settle_buffers(const struct restore_ctx *ctx, int fd,
			  const SocketCommon *rec, struct err *err)
{
	uint32_t receive = rec->receive_buffer, send = rec->send_buffer;

	if (ctx->owner->uid) {
		receive = allowed(receive, "/proc/sys/net/ipv4/tcp_rmem",
				  "/proc/sys/net/core/rmem_max");
		send = allowed(send, "/proc/sys/net/ipv4/tcp_wmem",
			       "/proc/sys/net/core/wmem_max");
	}
	return set_buffers(fd, receive, send, err);
}

int net_settle(const struct restore_ctx *ctx, int fd, const SocketCommon *rec,
	       bool was_bound, struct err *err)
{
	int r = net_begin(ctx, err);

	if (r < 0)
		return r;
	if (!was_bound)
		r = socket_options_set(fd, rec->options, rec->n_options,
				       OPTIONS_UNBOUND, err);
	if (r == 0 && !was_bound)
		r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, rec->reuse_port,
			    "SO_REUSEPORT", err);
	if (r == 0)
		r = socket_options_set(fd, rec->options, rec->n_options,
				       OPTIONS_AFTERWARDS, err);
	net_end(ctx);
	if (r == 0)
		r = settle_buffers(ctx, fd, rec, err);
	return r < 0 ? r
		     : set_int(fd, SOL_SOCKET, SO_BUF_LOCK_,
			       (int)(rec->buffer_lock & LOCK_BITS),
			       "SO_BUF_LOCK", err);
}
