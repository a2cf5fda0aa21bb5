/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/slurm.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/record.h"

/* A controller that is away is left in peace for so long. */
#define PAUSE_S 10

static uint32_t clip(long long seconds, uint32_t none)
{
	return seconds < 0
		       ? none
		       : (uint32_t)(seconds < UINT32_MAX - 1 ? seconds
							     : UINT32_MAX - 1);
}

/* now: before slurmctld was asked, so that a limit is rather early. */
static void take_line(const struct conf *conf, const char *line, uint64_t now)
{
	struct record_limits limits = { .look_mono = now };
	long long left, limit, window;
	struct err unused;
	char id[16];
	uint32_t job;

	if (sscanf(line,
		   "job=%10" SCNu32 " left=%18lld limit=%18lld "
		   "window=%18lld",
		   &job, &left, &limit, &window) != 4)
		return;
	limits.window_s = clip(window, PLAN_NEVER);
	limits.limit_s = clip(limit, 0);
	if (left >= 0)
		limits.end_mono = now + clip(left, 0) * NSEC_PER_SEC;
	snprintf(id, sizeof(id), "%u", job);
	(void)record_write(conf->run_dir, id, RECORD_LIMITS, &limits,
			   sizeof(limits), &unused);
}

int limits_refresh(const struct conf *conf, const uint32_t *jobs, size_t count,
		   struct err *err)
{
	uint64_t now = clock_monotonic_ns();
	char list[LIMITS_JOBS_MAX * 11 + 1] = "";
	struct slurm_output out;
	char *rest, *line;
	size_t i, len = 0;
	int r;

	for (i = 0; i < count && i < LIMITS_JOBS_MAX; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%u",
					i ? "," : "", jobs[i]);
	r = slurm_run(conf->libexec, (const char *[]){ "limits", list, NULL },
		      &out, err);
	if (r < 0)
		return r;
	rest = out.text;
	while ((line = strsep(&rest, "\n")))
		take_line(conf, line, now);
	return 0;
}

static int lock(const struct conf *conf)
{
	auto_close int fd = -EBADF;
	char path[512];

	snprintf(path, sizeof(path), "%s/limits.lock", conf->run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	return take_fd(&fd);
}

void limits_refresh_apart(const struct conf *conf, const uint32_t *jobs,
			  size_t count)
{
	const struct timespec pause = { .tv_sec = PAUSE_S };
	struct err err = { 0 };
	int fd = lock(conf);
	pid_t pid;

	if (fd < 0)
		return;
	pid = fork();
	if (pid == 0) {
		/* Its parent does not wait: the grandchild is init's. */
		if (fork() != 0)
			_exit(0);
		setsid();
		if (limits_refresh(conf, jobs, count, &err) < 0) {
			log_debug(NULL, "time limits: %s", err.text);
			nanosleep(&pause, NULL);
		}
		_exit(0);
	}
	close(fd);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
