/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kinds of sockets that few kernels have: a TCP socket is seen as one of them,
 * and refused by the name of what it would be.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "model/refusal.h"
#include "resource/resource.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

/* What the kernel would say; 0 and NULL: as it is. */
static struct {
	int protocol;
	const char *ulp;
} as_if;

/* In place of the C library's. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (as_if.protocol && level == SOL_SOCKET && name == SO_PROTOCOL) {
		memcpy(value, &as_if.protocol, sizeof(as_if.protocol));
		return 0;
	}
	if (as_if.ulp && level == IPPROTO_TCP && name == TCP_ULP) {
		*len = (socklen_t)strlen(as_if.ulp) + 1;
		memcpy(value, as_if.ulp, *len);
		return 0;
	}
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

static pid_t nobody_holds(void *arg, const char *link)
{
	(void)arg;
	(void)link;
	return 0;
}

static const struct resource_ops *whose(const struct fd_view *fd)
{
	for (size_t i = 0; resource_table[i]; i++)
		if (resource_table[i]->match && resource_table[i]->match(fd))
			return resource_table[i];
	return NULL;
}

/* By the first finding: all of it is one. */
static void refused(const char *kind, const char *remedy)
{
	static const struct dump_engine engine = { .held_outside =
							   nobody_holds };
	static const struct dump_options options;
	const struct dump_ctx ctx = { .engine = &engine, .options = &options };
	auto_close int own_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct proc_stat stat = { .comm = "program" };
	const struct task_view task = { .ns_pid = 7, .stat = &stat };
	struct stat st;
	const struct fd_view fd = { .task = &task,
				    .fd = 5,
				    .own_fd = own_fd,
				    .link = "socket:[1]",
				    .fdinfo = "",
				    .stat = &st };
	struct refusals no = { 0 };
	const struct resource_ops *ops;
	struct err err = { 0 };
	int r = -1;

	if (fstat(own_fd, &st) < 0)
		return;
	ops = whose(&fd);
	if (ops)
		r = ops->check_file(&ctx, &fd, &no, &err);
	ok(r == 0 && no.total == 1 && strstr(no.list[0].what, kind) &&
		   strstr(no.list[0].remedy, remedy) && no.list[0].fd == 5,
	   "%s: %s (%s) %s", kind, no.total ? no.list[0].what : "no finding",
	   no.total ? no.list[0].remedy : "", err.text);
	refusals_done(&no);
}

int main(void)
{
	as_if.protocol = IPPROTO_SCTP;
	refused("SCTP socket", "let it use TCP");
	as_if.protocol = IPPROTO_MPTCP;
	refused("Multipath TCP socket", "let it use TCP");
	as_if.protocol = 0;
	as_if.ulp = "tls";
	refused("TCP socket with tls in the kernel", "without KTLS");
	as_if.ulp = "espintcp";
	refused("TCP socket with espintcp in the kernel", "encrypt by itself");
	return done_testing();
}
