/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

int address_make(const char *run_dir, const char *name, struct sockaddr_un *ret,
		 struct err *err)
{
	int n;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", run_dir,
		     name);
	return n < 0 || (size_t)n >= sizeof(ret->sun_path)
		       ? err_num(err, ENAMETOOLONG, "%s/%s", run_dir, name)
		       : 0;
}

int address_bind(int fd, const struct sockaddr_un *at, unsigned int mask,
		 struct err *err)
{
	mode_t old;
	int r;

	if (unlink(at->sun_path) < 0 && errno != ENOENT)
		return err_sys(err, "%s: unlink", at->sun_path);
	old = umask((mode_t)mask);
	r = bind(fd, (const struct sockaddr *)at, sizeof(*at));
	if (r < 0)
		r = err_sys(err, "%s: bind", at->sun_path);
	umask(old);
	return r;
}

int address_listen(const char *run_dir, const char *name, unsigned int mask,
		   int backlog, int *ret_fd, struct err *err)
{
	auto_close int fd = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at;
	int r;

	if (fd < 0)
		return err_sys(err, "socket");
	r = address_make(run_dir, name, &at, err);
	if (r == 0)
		r = address_bind(fd, &at, mask, err);
	if (r < 0)
		return r;
	if (listen(fd, backlog) < 0)
		return err_sys(err, "%s: listen", at.sun_path);
	*ret_fd = take_fd(&fd);
	return 0;
}
