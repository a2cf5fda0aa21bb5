/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bounded.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/mounted_below.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/writing.h"

/* One that the kernel holds is left to itself. */
#define END_MS       2000
#define NOBODY_KNOWS ((uid_t)-1)

static bool is_slow(const struct bounded *b, uid_t uid)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->slow[i] == uid)
			return true;
	return false;
}

static void note_slow(struct bounded *b, uid_t uid)
{
	uid_t *more;

	if (uid == NOBODY_KNOWS)
		return;
	more = reallocarray(b->slow, b->count + 1, sizeof(*b->slow));
	if (!more)
		return;
	b->slow = more;
	b->slow[b->count++] = uid;
}

static bool has_ended(int pid_fd, int timeout_ms)
{
	struct pollfd p = { .fd = pid_fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n != 0;
}

/* false: it took too long, or was killed. */
static bool await(pid_t pid, unsigned int limit_s)
{
	auto_close int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int status = 0;

	if (pid_fd >= 0 && !has_ended(pid_fd, (int)limit_s * 1000)) {
		kill(pid, SIGKILL);
		if (!has_ended(pid_fd, END_MS))
			return false;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status);
}

/*
 * Whose it is; what is mounted there is not entered.  Only something mounted on
 * the very directory hides whose that is; and it may be gone a moment later.
 */
static int look(const char *store, const char *cluster, const char *job,
		struct stat *ret, struct err *err)
{
	auto_close int fd = -EBADF;
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", store, cluster);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "%s", path);
	r = stat_unmounted(fd, job, ret, err);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", store, cluster, job);
	if (r == -EXDEV)
		return err_set(err, r,
			       "%s: something is mounted there, which is not "
			       "entered",
			       path);
	return r < 0 ? r : mounted_below(path, err);
}

void bounded_run(struct bounded *b, const struct conf *conf,
		 const char *cluster, const char *job, void (*fn)(void *arg),
		 void *arg)
{
	struct stat st = { .st_uid = NOBODY_KNOWS };
	struct err err = { 0 };
	pid_t pid;
	int r;

	if (!b->since_ns)
		b->since_ns = clock_monotonic_ns();
	writing_await(conf->run_dir, b->since_ns);
	r = look(conf->store_dir, cluster, job, &st, &err);
	if (r == -EXDEV) {
		log_warning(job, "it is passed over%s: %s",
			    st.st_uid == NOBODY_KNOWS
				    ? ""
				    : ", as are other jobs of its user",
			    err.text);
		note_slow(b, st.st_uid);
		return;
	}
	/*
	 * What else may be wrong with it is for fn to find; but a user who may
	 * make links there could have it find another directory, whose owner
	 * nobody has seen.
	 */
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP ||
	    is_slow(b, st.st_uid))
		return;
	pid = fork();
	if (pid < 0) {
		log_warning(job, "it is passed over this time: fork: %s",
			    strerror(errno));
		return;
	}
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	if (await(pid, b->limit_s))
		return;
	log_warning(job,
		    "what it has in the store could not be looked through in "
		    "%u s: other jobs of its user are passed over this time",
		    b->limit_s);
	note_slow(b, st.st_uid);
}

void bounded_done(struct bounded *b)
{
	free(b->slow);
	*b = (struct bounded){ .limit_s = b->limit_s };
}
