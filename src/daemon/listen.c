/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "daemon/server.h"
#include "util/cleanup.h"
#include "wire/address.h"

int listen_local(const struct conf *conf, int *ret_fd, struct err *err)
{
	/* Everybody may ask; who is told what is decided per request. */
	return address_listen(conf->run_dir, "jobcrd.sock", 0111, 128, ret_fd,
			      err);
}

int listen_remote(const struct conf *conf, int *ret_fd, struct err *err)
{
	auto_close int fd =
		socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in6 at6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(conf->port) };
	struct sockaddr_in at4 = { .sin_family = AF_INET,
				   .sin_port = htons(conf->port) };
	int one = 1, zero = 0;
	bool six = fd >= 0;
	int r;

	*ret_fd = -1;
	if (!conf->port)
		return 0;
	if (!six)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    0);
	if (fd < 0)
		return err_sys(err, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (six)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	r = six ? bind(fd, (struct sockaddr *)&at6, sizeof(at6))
		: bind(fd, (struct sockaddr *)&at4, sizeof(at4));
	if (r < 0 || listen(fd, 128) < 0)
		return err_sys(err, "TCP port %u (Port in jobcr.conf)",
			       conf->port);
	*ret_fd = take_fd(&fd);
	return 0;
}
