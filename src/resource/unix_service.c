// SPDX-License-Identifier: GPL-2.0-or-later
#include "resource/unix_service.h"

#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

static const char dbus[] = "close the connection to D-Bus, or have it closed "
			   "(--peers reset in jobcr(1))";
static const char display[] = "run it without a display, or have the "
			      "connection closed (--peers reset in jobcr(1))";
static const char journal[] = "write to a file: what systemd-cat or a service "
			      "of systemd has as its output stays on the node";
static const char step[] = "start it with mpiexec inside the job, not with "
			   "srun: slurmstepd keeps what ranks tell it (PMI)";

static const struct unix_service services[] = {
	/* syslog(3) sends again what a connection of the past refuses. */
	{ "/dev/log", SOCK_DGRAM, UNIX_RECONNECT, NULL },
	{ "/dev/log", SOCK_STREAM, UNIX_CLOSE, NULL },
	{ "/run/systemd/journal/dev-log", SOCK_DGRAM, UNIX_RECONNECT, NULL },
	{ "/run/systemd/journal/syslog", SOCK_DGRAM, UNIX_RECONNECT, NULL },
	{ "/run/systemd/journal/socket", SOCK_DGRAM, UNIX_RECONNECT, NULL },
	{ "/run/systemd/journal/stdout", SOCK_STREAM, UNIX_REFUSE, journal },
	{ "/run/systemd/notify", SOCK_DGRAM, UNIX_RECONNECT, NULL },
	/* One question each, asked again; without an answer the C library
	 * looks into files, and munge tells a question that is repeated. */
	{ "/var/lib/sss/pipes/", SOCK_STREAM, UNIX_CLOSE, NULL },
	{ "/run/nscd/socket", SOCK_STREAM, UNIX_CLOSE, NULL },
	{ "/var/run/nscd/socket", SOCK_STREAM, UNIX_CLOSE, NULL },
	{ "/run/nslcd/socket", SOCK_STREAM, UNIX_CLOSE, NULL },
	{ "/var/run/nslcd/socket", SOCK_STREAM, UNIX_CLOSE, NULL },
	{ "/run/munge/munge.socket.2", SOCK_STREAM, UNIX_CLOSE, NULL },
	{ "/var/run/munge/munge.socket.2", SOCK_STREAM, UNIX_CLOSE, NULL },
	/* Names that were asked for, and who is to be told what. */
	{ "/run/dbus/system_bus_socket", 0, UNIX_REFUSE, dbus },
	{ "/var/run/dbus/system_bus_socket", 0, UNIX_REFUSE, dbus },
	{ "/run/user/", SOCK_STREAM, UNIX_REFUSE, dbus },
	{ "@/tmp/dbus-", SOCK_STREAM, UNIX_REFUSE, dbus },
	{ "/tmp/.X11-unix/", SOCK_STREAM, UNIX_REFUSE, display },
	{ "@/tmp/.X11-unix/", SOCK_STREAM, UNIX_REFUSE, display },
};

/* Abstract names begin with a zero byte. */
static bool is_name(const char *wanted, const char *name, size_t len)
{
	size_t n = strlen(wanted);
	char first = wanted[0] == '@' ? '\0' : wanted[0];

	return len >= n && name[0] == first &&
	       !memcmp(name + 1, wanted + 1, n - 1) &&
	       (len == n || wanted[n - 1] == '/' || wanted[n - 1] == '-');
}

const struct unix_service *unix_service_find(const char *name, size_t len,
					     int type)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		const struct unix_service *s = &services[i];

		if ((!s->type || s->type == type) &&
		    is_name(s->name, name, len))
			return s;
	}
	return NULL;
}

const char *unix_service_remedy(const char *comm)
{
	return strcmp(comm, "slurmstepd") == 0 ? step : NULL;
}
