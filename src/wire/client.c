/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "wire/address.h"
#include "util/io.h"
#include "wire/auth.h"
#include "wire/frame.h"

/*
 * Of ports that only root may take, the longest run of those that no service is
 * registered for, but for the one of rndc.
 */
#define RESERVED_FROM  922
#define RESERVED_TO    989
#define RESERVED_RNDC  953
#define RESERVED_TRIES 8

struct client {
	int fd;
	char *node; /* NULL: this one */
	char *munge_socket;
	uint64_t nonce;
};

static int make(int *fd, struct client **ret, struct err *err)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return err_num(err, ENOMEM, "connection");
	c->fd = take_fd(fd);
	*ret = c;
	return 0;
}

int client_local(const char *run_dir, struct client **ret, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = address_make(run_dir, "jobcrd.sock", &at, err);
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, -ECONNREFUSED,
				       "jobcrd does not run on this node (%s): "
				       "ask its administrator to start it",
				       at.sun_path);
		return err_sys(err, "%s", at.sun_path);
	}
	return make(&fd, ret, err);
}

/*
 * One that serves other connections serves this one, too, and no service of the
 * machine is kept from it.  -EADDRNOTAVAIL: try another one.
 */
static int take_reserved(int fd, int family)
{
	struct sockaddr_storage at = { .ss_family = (sa_family_t)family };
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&at;
	struct sockaddr_in *four = (struct sockaddr_in *)&at;
	const bool is_six = family == AF_INET6;
	const socklen_t len = is_six ? sizeof(*six) : sizeof(*four);
	const int on = 1;
	uint16_t port;

	if (getrandom(&port, sizeof(port), 0) != sizeof(port))
		return -errno;
	port = RESERVED_FROM + port % (RESERVED_TO - RESERVED_FROM);
	if (port == RESERVED_RNDC)
		return -EADDRNOTAVAIL;
	if (is_six)
		six->sin6_port = htons(port);
	else
		four->sin_port = htons(port);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, len) == 0)
		return 0;
	return errno == EADDRINUSE ? -EADDRNOTAVAIL : -errno;
}

static int connect_one(const struct addrinfo *a, bool reserved, int *ret)
{
	auto_close int fd =
		socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
	struct err unused;
	int r;

	if (fd < 0)
		return -errno;
	/* A root that may not have one has any other. */
	r = reserved ? take_reserved(fd, a->ai_family) : 0;
	if (r == -EADDRNOTAVAIL)
		return r;
	/* Also bounds the connect itself. */
	(void)frame_timeout(fd, 10000, &unused);
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

/*
 * Anybody can take all places that jobcrd has for callers it does not know yet,
 * but for those of root's ports.  Without one of them it is any other.
 */
static int connect_to(const struct addrinfo *a, int *ret)
{
	int i, r = -EADDRNOTAVAIL;

	/* Towards there it may be in use, or have been a moment ago. */
	for (i = 0; i < RESERVED_TRIES && r == -EADDRNOTAVAIL; i++)
		r = connect_one(a, geteuid() == 0, ret);
	return r == -EADDRNOTAVAIL ? connect_one(a, false, ret) : r;
}

static int connect_any(const struct addrinfo *list, int *ret, struct err *err)
{
	const struct addrinfo *a;
	int r = -EHOSTUNREACH;

	for (a = list; a; a = a->ai_next) {
		r = connect_to(a, ret);
		if (r == 0)
			return 0;
	}
	return err_set(err, -ECONNREFUSED, "%s", strerror(-r));
}

int client_remote(const char *node, const char *host, uint16_t port,
		  const char *munge_socket, struct client **ret,
		  struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_family = AF_UNSPEC };
	auto_close int fd = -EBADF;
	struct addrinfo *list;
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host ? host : node, service, &hints, &list);
	if (r != 0)
		return err_set(err, -EHOSTUNREACH, "node %s: %s", node,
			       gai_strerror(r));
	r = connect_any(list, &fd, err);
	freeaddrinfo(list);
	if (r < 0)
		return err_wrap(err, r, "jobcrd on node %s, port %u", node,
				port);
	r = make(&fd, ret, err);
	if (r < 0)
		return r;
	(*ret)->node = strdup(node);
	(*ret)->munge_socket = munge_socket ? strdup(munge_socket) : NULL;
	if ((*ret)->node)
		return 0;
	client_free(*ret);
	return err_num(err, ENOMEM, "connection");
}

static int send_remote(struct client *c, const Request *req, struct err *err)
{
	auto_free uint8_t *packed = NULL;
	auto_free char *credential = NULL;
	size_t len;
	int r = frame_pack(FRAME_REQUEST, &req->base, &packed, &len, err);

	if (r == 0)
		r = auth_encode(c->munge_socket, packed, len, &credential, err);
	return r < 0 ? r
		     : frame_write(c->fd, FRAME_CREDENTIAL, credential,
				   strlen(credential), err);
}

int client_send(struct client *c, Request *req, const int *fds, size_t nfds,
		struct err *err)
{
	if (getrandom(&req->nonce, sizeof(req->nonce), 0) != sizeof(req->nonce))
		return err_sys(err, "random");
	c->nonce = req->nonce;
	if (!c->node)
		return frame_send(c->fd, FRAME_REQUEST, &req->base, fds, nfds,
				  err);
	if (nfds)
		return err_set(err, -EINVAL,
			       "not possible on another node: run it there");
	req->node = c->node;
	/* Answers take as long as the operation. */
	(void)frame_timeout(c->fd, 0, err);
	return send_remote(c, req, err);
}

/* A reply is root's of the other node, and to this very request. */
static int receive_remote(struct client *c, Reply **ret, struct err *err)
{
	auto_free uint8_t *text = NULL;
	auto_free void *body = NULL;
	ProtobufCMessage *msg;
	size_t len;
	uid_t uid;
	int r = frame_read(c->fd, FRAME_CREDENTIAL, &text, &len, err);

	if (r == 0)
		r = auth_decode(c->munge_socket, (char *)text, &body, &len,
				&uid, NULL, err);
	if (r < 0)
		return r;
	if (uid != 0)
		return err_set(err, -EACCES,
			       "node %s: the answer is not root's", c->node);
	if (len < sizeof(c->nonce) ||
	    memcmp(body, &c->nonce, sizeof(c->nonce)) != 0)
		return err_set(err, -EACCES,
			       "node %s: the answer is not to our request",
			       c->node);
	r = frame_unpack((uint8_t *)body + sizeof(c->nonce),
			 len - sizeof(c->nonce), FRAME_REPLY,
			 &reply__descriptor, &msg, err);
	if (r == 0)
		*ret = (Reply *)msg;
	return r;
}

int client_receive(struct client *c, Reply **ret, struct err *err)
{
	ProtobufCMessage *msg;
	int r;

	if (c->node)
		return receive_remote(c, ret, err);
	r = frame_receive(c->fd, FRAME_REPLY, &reply__descriptor, &msg, NULL,
			  NULL, err);
	if (r == 0)
		*ret = (Reply *)msg;
	return r;
}

int client_fd(const struct client *c)
{
	return c->fd;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	close(c->fd);
	free(c->node);
	free(c->munge_socket);
	free(c);
}
