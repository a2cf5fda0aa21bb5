/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events reach the job's history, and a store that hangs holds nobody up. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/event.h"
#include "storage/history.h"
#include "storage/store.h"
#include "tests/lib/hanging.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define OWNER    65534 /* nobody */
#define NOT_LONG (20 * NSEC_PER_SEC)

static struct conf conf_of(char *store)
{
	return (struct conf){ .cluster = (char *)"c",
			      .node = (char *)"n1",
			      .store_dir = store };
}

static size_t read_events(char *store, struct history_event **ret)
{
	struct user_id user = { .uid = OWNER, .gid = OWNER };
	auto_close int fd = -EBADF;
	struct err err = { 0 };
	size_t n = 0;

	*ret = NULL;
	if (store_open_job(store, "c", "7", false, &user, &fd, &err) < 0 ||
	    history_read(fd, &user, ret, &n, &err) < 0)
		diag("%s", err.text);
	return n;
}

static void test_note(char *store, const struct control_info *info)
{
	const struct conf conf = conf_of(store);
	auto_free struct history_event *e = NULL;
	struct stat st = { 0 };
	char path[256];
	size_t n;

	event_note(&conf, info, "preempted", 0, "what for: \033[2J%s", "x\ny");
	event_note(&conf, info, "checkpoint", 3, "%0900d", 1);
	n = read_events(store, &e);
	ok(n == 2 && !strcmp(e[0].kind, "preempted") &&
		   !strcmp(e[0].node, "n1") && e[0].generation == 0 &&
		   !strcmp(e[0].text, "what for:  [2Jx y"),
	   "an event is in the history, and harmless to a terminal");
	ok(n == 2 && e[1].generation == 3 && strlen(e[1].text) > 300,
	   "so is a long one, in their order");
	snprintf(path, sizeof(path), "%s/c/7/history", store);
	ok(stat(path, &st) == 0 && st.st_uid == OWNER &&
		   (st.st_mode & 0777) == 0600,
	   "the file is the user's");
}

static void test_no_store(const struct control_info *info)
{
	char none[] = "/nonexistent";
	const struct conf conf = conf_of(none);

	event_note(&conf, info, "failed", 0, "nowhere");
	ok(true, "without a store nothing fails");
}

static void test_hanging(char *store, const struct control_info *info)
{
	const struct conf conf = conf_of(store);
	auto_close int fuse = -EBADF, lock = -EBADF, again = -EBADF;
	uint64_t begin = clock_monotonic_ns();

	if (mount_hanging(store, &fuse) < 0) {
		skip("no FUSE here: %s", strerror(errno));
		return;
	}
	lock = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	flock(lock, LOCK_EX);
	event_note(&conf, info, "preempted", 0, "who waits?");
	ok(clock_monotonic_ns() - begin < NOT_LONG,
	   "a store that hangs is not waited for");
	close(take_fd(&lock));
	again = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ok(flock(again, LOCK_EX | LOCK_NB) == 0,
	   "who waits for it has none of our locks");
	/* Its server gone, whoever waits is told so and ends. */
	close(take_fd(&fuse));
	(void)umount2(store, MNT_DETACH);
}

int main(void)
{
	struct control_info info = { .job_id = "7",
				     .uid = OWNER,
				     .gid = OWNER };
	char dir[] = "/tmp/jobcr-event.XXXXXX", command[64];

	if (geteuid() != 0)
		skip_all("needs root, to act as another user");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return 99;
	log_init("event", LOG_LEVEL_INFO);
	test_note(dir, &info);
	test_no_store(&info);
	test_hanging(dir, &info);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		diag("%s is left", dir);
	return done_testing();
}
