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

#define JOURNAL "/run/systemd/journal/socket"

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, path);
	return bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ? -1 : fd;
}

/* A /run of our own, with a socket where the journal has its. */
static int make_journal(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/run/systemd", 0755) < 0 ||
	    mkdir("/run/systemd/journal", 0755) < 0)
		return -1;
	return listen_at(JOURNAL);
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

static int next_fd(void)
{
	auto_close int fd = dup(0);

	return fd;
}

/* Who closes what it has not opened, as children do, closes nothing of ours. */
static void test_syslog(void)
{
	auto_close int fd = -EBADF;
	const char *text;
	int next;

	if (unlink(JOURNAL) < 0 ||
	    mount("tmpfs", "/dev", "tmpfs", 0, NULL) < 0 ||
	    (fd = listen_at("/dev/log")) < 0) {
		skip("no /dev of our own: %s", strerror(errno));
		return;
	}
	next = next_fd();
	log_info("12", "no journal");
	text = take(fd);
	ok(strstr(text, "jobcrd[") && strstr(text, "]: 12: no journal"),
	   "without a journal it is syslog's: %s", text);
	ok(next_fd() == next, "nothing is left open");
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
	test_syslog();
	return done_testing();
}
