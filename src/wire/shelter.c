/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/shelter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define RECORD_MAX     (SHELTER_DIRS * CGROUP_PATH * 2)
#define END_TIMEOUT    (10 * NSEC_PER_SEC)
#define REMOVE_TIMEOUT NSEC_PER_SEC
#define STEP_NS        5000000

static void path_of(const char *run_dir, const char *job_id, const char *suffix,
		    char *ret, size_t room)
{
	snprintf(ret, room, "%s/jobs/%s/shelter%s", run_dir, job_id, suffix);
}

static int write_lines(int fd, const struct shelter *s, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i <= s->nfrom; i++) {
		const char *line = i ? s->from[i - 1] : s->own;

		r = write_all(fd, line, strlen(line), err);
		if (r == 0)
			r = write_all(fd, "\n", 1, err);
	}
	return r;
}

int shelter_note(const char *run_dir, const char *job_id,
		 const struct shelter *shelter, struct err *err)
{
	char path[512], made[512];
	auto_close int fd = -EBADF;
	int r;

	path_of(run_dir, job_id, "", path, sizeof(path));
	path_of(run_dir, job_id, ".new", made, sizeof(made));
	fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return err_sys(err, "%s", made);
	r = write_lines(fd, shelter, err);
	if (r < 0)
		return err_wrap(err, r, "%s", made);
	/* Half a path would be another directory's. */
	return rename(made, path) < 0 ? err_sys(err, "%s", path) : 0;
}

void shelter_forget(const char *run_dir, const char *job_id)
{
	char path[512];

	path_of(run_dir, job_id, "", path, sizeof(path));
	(void)unlink(path);
}

int shelter_remove(const char *dir, struct err *err)
{
	const struct timespec step = { .tv_nsec = STEP_NS };
	uint64_t deadline = clock_monotonic_ns() + REMOVE_TIMEOUT;

	while (rmdir(dir) < 0) {
		if (errno == ENOENT)
			return 0;
		if (errno != EBUSY || clock_monotonic_ns() >= deadline)
			return err_sys(err, "%s: rmdir", dir);
		nanosleep(&step, NULL);
	}
	return 0;
}

/* Is the directory's last component ours for this job? */
static bool is_own(const char *dir, const char *job_id)
{
	const char *name = strrchr(dir, '/');
	size_t len = strlen(SHELTER_PREFIX);

	return *dir == '/' && name &&
	       strncmp(name + 1, SHELTER_PREFIX, len) == 0 &&
	       strcmp(name + 1 + len, job_id) == 0;
}

/* -ENOENT: there is none. */
static int read_record(const char *run_dir, const char *job_id,
		       struct shelter *ret, struct err *err)
{
	auto_free char *text = NULL;
	char path[512], *line, *end;
	size_t n = 0;
	int r;

	path_of(run_dir, job_id, "", path, sizeof(path));
	r = read_file_at(AT_FDCWD, path, RECORD_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	for (line = text; (end = strchr(line, '\n')) && n <= SHELTER_DIRS;
	     line = end + 1) {
		char *to = n ? ret->from[n - 1] : ret->own;

		*end = '\0';
		if (strlen(line) >= CGROUP_PATH)
			break;
		strcpy(to, line);
		n++;
	}
	if (!is_own(ret->own, job_id))
		return err_set(err, -EBADMSG, "%s: not one of ours", path);
	ret->nfrom = n - 1;
	return 0;
}

/* Nobody adds to them: what is there was the job's. */
static int kill_all(const char *dir, struct err *err)
{
	const struct timespec step = { .tv_nsec = STEP_NS };
	uint64_t deadline = clock_monotonic_ns() + END_TIMEOUT;

	for (;;) {
		auto_free pid_t *pids = NULL;
		size_t count = 0, i;
		int r = cgroup_list(dir, &pids, &count, err);

		if (r < 0)
			return r == -ENOENT || r == -ENODEV ? 0 : r;
		if (count == 0)
			return 0;
		for (i = 0; i < count; i++)
			(void)kill(pids[i], SIGKILL);
		if (clock_monotonic_ns() >= deadline)
			return err_set(err, -ETIMEDOUT,
				       "%s: %zu processes do not end, process "
				       "%d is one",
				       dir, count, (int)pids[0]);
		nanosleep(&step, NULL);
	}
}

/*
 * Slurm removes the cgroups of a step when it ends, which failed while the
 * tree was in them.  Up to the job's, "job_JOBID": those above are others',
 * too, and made and removed under a lock of Slurm's.
 */
static void remove_job_dirs(const char *dir, const char *job_id)
{
	char path[CGROUP_PATH], name[80], *slash;
	bool last = false;

	snprintf(path, sizeof(path), "%s", dir);
	snprintf(name, sizeof(name), "job_%s", job_id);
	while (!last && (slash = strrchr(path, '/'))) {
		last = strcmp(slash + 1, name) == 0;
		if (rmdir(path) < 0 && errno != ENOENT)
			return;
		*slash = '\0';
	}
}

int shelter_end(const char *run_dir, const char *job_id, struct err *err)
{
	auto_free struct shelter *s = malloc(sizeof(*s));
	struct err none = { 0 };
	size_t i;
	int r;

	if (!s)
		return err_num(err, ENOMEM, "shelter");
	r = read_record(run_dir, job_id, s, &none);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		*err = none;
		return r;
	}
	r = kill_all(s->own, err);
	if (r == 0)
		r = shelter_remove(s->own, err);
	if (r < 0)
		return r;
	for (i = 0; i < s->nfrom; i++)
		remove_job_dirs(s->from[i], job_id);
	shelter_forget(run_dir, job_id);
	return 0;
}
