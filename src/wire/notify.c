/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/notify.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "wire/address.h"

int notify_send(const char *run_dir, const char *job_id,
		enum notify_event event, int64_t value, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct notify n = { .magic = NOTIFY_MAGIC,
			    .event = event,
			    .value = value };
	struct sockaddr_un to;
	int r;

	if (fd < 0)
		return err_sys(err, "notify: socket");
	r = address_make(run_dir, "notify", &to, err);
	if (r < 0)
		return r;
	if (strlen(job_id) >= sizeof(n.job_id))
		return err_num(err, EINVAL, "job id %s", job_id);
	strcpy(n.job_id, job_id);
	if (sendto(fd, &n, sizeof(n), MSG_DONTWAIT | MSG_NOSIGNAL,
		   (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_sys(err, "%s", to.sun_path);
	return 0;
}

int notify_listen(const char *run_dir, int *ret_fd, struct err *err)
{
	auto_close int fd =
		socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at;
	int r, one = 1;

	if (fd < 0)
		return err_sys(err, "notify: socket");
	r = address_make(run_dir, "notify", &at, err);
	if (r < 0)
		return r;
	r = address_bind(fd, &at, 0177, err);
	if (r < 0)
		return r;
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
		return err_sys(err, "%s: credentials", at.sun_path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The kernel vouches for the sender's uid. */
static int is_root(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct ucred cred;

	if (!c || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_CREDENTIALS)
		return 0;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	return cred.uid == 0;
}

int notify_receive(int fd, struct notify *ret, struct err *err)
{
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct notify n;
	struct iovec io = { &n, sizeof(n) };
	struct msghdr msg = { .msg_iov = &io,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return err_sys(err, "notify");
	n.job_id[sizeof(n.job_id) - 1] = '\0';
	if ((size_t)got != sizeof(n) || n.magic != NOTIFY_MAGIC ||
	    !is_root(&msg))
		return err_set(err, -EBADMSG, "notify: not one of ours");
	if (control_check_id(n.job_id, err) < 0)
		return -EBADMSG;
	*ret = n;
	return 0;
}
