/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done beside us for somebody in a container or under a system call
 * filter would be done outside of it: nobody is to get out that way.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "operation/caller.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Links of /proc/PID, and what they are to be the same of. */
static const struct {
	const char *link, *what;
} spaces[] = {
	{ "ns/user", "user namespace" }, { "ns/mnt", "mount namespace" },
	{ "ns/pid", "pid namespace" },   { "ns/net", "network namespace" },
	{ "ns/uts", "UTS namespace" },   { "ns/ipc", "IPC namespace" },
	{ "root", "root directory" },
};

static int check_same(pid_t pid, size_t i, struct err *err)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/%s", spaces[i].link);
	if (stat(path, &ours) < 0)
		return err_sys(err, "%s", path);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, spaces[i].link);
	if (stat(path, &theirs) < 0)
		return err_sys(err, "%s", path);
	if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return err_set(err, -EACCES,
			       "you are in another %s than jobcrd: do this "
			       "from outside",
			       spaces[i].what);
	return 0;
}

static uint64_t status_number(const char *status, const char *key, int base)
{
	const char *at = strstr(status, key);

	return at ? strtoull(at + strlen(key), NULL, base) : 0;
}

static int check_status(const struct caller *who, struct caller_rights *ret,
			struct err *err)
{
	auto_free char *status = NULL;
	char path[64];
	const char *at;
	uint64_t uid;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", who->pid);
	r = read_file_at(AT_FDCWD, path, 65536, &status, NULL, err);
	if (r < 0)
		return r;
	/* The effective one, which is the second, as the socket has it. */
	at = strstr(status, "\nUid:\t");
	if (!at || sscanf(at, "\nUid:\t%*u\t%" SCNu64, &uid) != 1 ||
	    uid != who->uid)
		return caller_gone(err);
	if (status_number(status, "\nSeccomp:\t", 10) != 0)
		return err_set(err, -EACCES,
			       "you run under a seccomp filter: do this from "
			       "outside");
	ret->dropped_caps = ~status_number(status, "\nCapBnd:\t", 16);
	ret->no_new_privs = status_number(status, "\nNoNewPrivs:\t", 10) != 0;
	return 0;
}

static int read_priority(const struct caller *who, struct caller_rights *ret,
			 struct err *err)
{
	auto_free char *text = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", who->pid);
	r = read_file_at(AT_FDCWD, path, 64, &text, NULL, err);
	if (r < 0)
		return r;
	ret->oom_score_adj = (int)strtol(text, NULL, 10);
	errno = 0;
	ret->nice = getpriority(PRIO_PROCESS, (id_t)who->pid);
	if (errno)
		return err_sys(err, "priority of process %d", who->pid);
	ret->have_priority = true;
	return 0;
}

int caller_gone(struct err *err)
{
	return err_set(err, -EACCES, "the process that asked has gone");
}

bool caller_lives(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return pidfd < 0 || poll(&p, 1, 0) == 0;
}

int caller_check(const struct caller *who, const char *node,
		 struct caller_rights *ret, struct err *err)
{
	size_t i;
	int r = 0;

	*ret = (struct caller_rights){ 0 };
	if (who->embedded || (!who->pid && who->uid == 0))
		return 0;
	if (!who->pid)
		return err_set(err, -EACCES,
			       "not from another node, whose limits would not "
			       "hold here: do this on node %s itself",
			       node);
	for (i = 0; r == 0 && i < ARRAY_SIZE(spaces); i++)
		r = check_same(who->pid, i, err);
	if (r == 0)
		r = check_status(who, ret, err);
	if (r == 0)
		r = read_priority(who, ret, err);
	return r == 0 && !caller_lives(who->pidfd) ? caller_gone(err) : r;
}
