/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of root to other nodes come from ports that are root's, and keep
 * none from a service of the machine.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/own_network.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "wire/client.h"

#define CALLS  200
#define SERVER 20000

/* As services do: for both families, also soon after an end of its own. */
static int serve(uint16_t port)
{
	const struct sockaddr_in6 at = { .sin6_family = AF_INET6,
					 .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(fd, 3 * CALLS) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Its port; 0: there is no connection. */
static uint16_t call(const char *host, struct client **ret)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	struct err err;

	if (client_remote("n", host, SERVER, NULL, ret, &err) < 0) {
		diag("%s", err.text);
		return 0;
	}
	if (getsockname(client_fd(*ret), (struct sockaddr *)&at, &len) < 0)
		return 0;
	return ntohs(at.ss_family == AF_INET6
			     ? ((struct sockaddr_in6 *)&at)->sin6_port
			     : ((struct sockaddr_in *)&at)->sin_port);
}

static void test_calls(const char *host)
{
	static struct client *calls[CALLS];
	int i, fd, connected = 0, reserved = 0, wanted = 0, kept = 0;

	for (i = 0; i < CALLS; i++) {
		uint16_t port = call(host, &calls[i]);

		connected += port != 0;
		if (port == 0 || port >= IPPORT_RESERVED)
			continue;
		reserved++;
		wanted += getservbyport(htons(port), "tcp") != NULL;
		fd = serve(port);
		kept += fd < 0;
		close(fd);
	}
	ok(connected == CALLS, "%s: %d of %d at a time are connected", host,
	   connected, CALLS);
	ok(reserved >= 40, "%d by ports of root's", reserved);
	ok(wanted == 0, "%d by one that a service is known for", wanted);
	ok(kept == 0, "%d services are kept from their port", kept);
	for (i = 0; i < CALLS; i++)
		client_free(calls[i]);
	ok(call(host, &calls[0]) != 0, "and there is another one");
	client_free(calls[0]);
}

int main(void)
{
	auto_close int fd = -EBADF;

	if (geteuid() != 0)
		skip_all("needs root");
	if (!own_network() || (fd = serve(SERVER)) < 0)
		skip_all("no network of our own: %s", strerror(errno));
	test_calls("127.0.0.1");
	test_calls("::1");
	return done_testing();
}
