/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of the log are one line each, and have fields in the journal. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/log.h"

/* A /run of our own, with a socket where the journal has its. */
static int make_journal(void)
{
	const struct sockaddr_un at = { .sun_family = AF_UNIX,
					.sun_path =
						"/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/run/systemd", 0755) < 0 ||
	    mkdir("/run/systemd/journal", 0755) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return fd;
}

static const char *take(int fd)
{
	static char text[8192];
	ssize_t n = recv(fd, text, sizeof(text) - 2, MSG_DONTWAIT);

	/* Every field stands between two newlines. */
	text[0] = n > 0 ? text[0] : '\0';
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static bool has(const char *text, const char *field)
{
	const char *at = strstr(text, field);

	return at && (at == text || at[-1] == '\n') &&
	       at[strlen(field)] == '\n';
}

int main(void)
{
	const struct log_about about = {
		.job = "12",
		.event = "checkpoint",
		.cause = "preempt",
		.message_id = "00000000000000000000000000000001",
		.generation = 7,
	};
	auto_close int fd = -EBADF;
	const char *text;
	char longest[5000];

	if (geteuid() != 0)
		skip_all("needs root, for a /run of its own");
	fd = make_journal();
	if (fd < 0)
		skip_all("no journal can be made here: %s", strerror(errno));
	log_init("jobcrd", LOG_LEVEL_INFO);
	log_to_syslog();
	log_event(LOG_LEVEL_INFO, &about, "it\nis\033[2J saved");
	text = take(fd);
	ok(has(text, "MESSAGE=12: it is [2J saved"), "one line, harmless");
	ok(has(text, "PRIORITY=6") && has(text, "SYSLOG_IDENTIFIER=jobcrd"),
	   "with its level and who says it");
	ok(has(text, "JOBCR_JOB=12") && has(text, "JOBCR_EVENT=checkpoint") &&
		   has(text, "JOBCR_CAUSE=preempt") &&
		   has(text, "JOBCR_GENERATION=7"),
	   "and what it is about");
	ok(has(text, "MESSAGE_ID=00000000000000000000000000000001"),
	   "and the kind of message");
	log_error(NULL, "no job: %d", 5);
	text = take(fd);
	ok(has(text, "MESSAGE=no job: 5") && has(text, "PRIORITY=3") &&
		   !strstr(text, "JOBCR_"),
	   "a line about no job has no such fields");
	log_debug("12", "too much");
	ok(!*take(fd), "what is below the level is not said");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	log_warning("12", "%s", longest);
	text = take(fd);
	ok(has(text, "JOBCR_JOB=12") && strstr(text, "MESSAGE=12: xxxx"),
	   "a long one is cut");
	return done_testing();
}
