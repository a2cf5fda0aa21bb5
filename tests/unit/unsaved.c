/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slurm has requeued a job that could not be saved.  It starts again at once if
 * the store has, or may have, a snapshot of it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cut.h"
#include "daemon/flush.h"
#include "daemon/resubmit.h"
#include "operation/apart.h"
#include "tests/lib/tap.h"

static char dir[] = "/tmp/jobcr-unsaved.XXXXXX";
static char program[64], started[64], output[64], aside[64];
static int newest; /* what the store says */
static char noted[1024];

int __wrap_apart_run(const struct apart *a, int (*fn)(void *, struct err *),
		     void *arg, struct err *err);

int __wrap_apart_run(const struct apart *a, int (*fn)(void *, struct err *),
		     void *arg, struct err *err)
{
	(void)a;
	(void)fn;
	(void)arg;
	return newest < 0 ? err_num(err, newest, "store") : newest;
}

void resubmit_keep(struct subject *s)
{
	(void)s;
}

void flush_await(const struct conf *conf, const char *job_id)
{
	(void)conf;
	(void)job_id;
}

void event_note_cause(const struct conf *conf, const struct control_info *info,
		      const char *kind, const char *cause, uint32_t generation,
		      const char *fmt, ...)
{
	size_t used = strlen(noted);
	va_list ap;

	(void)conf;
	(void)info;
	(void)kind;
	(void)cause;
	(void)generation;
	va_start(ap, fmt);
	(void)vsnprintf(noted + used, sizeof(noted) - used, fmt, ap);
	va_end(ap);
	(void)strncat(noted, "; ", sizeof(noted) - strlen(noted) - 1);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	if (!f)
		exit(1);
	fputs(text, f);
	fclose(f);
	(void)chmod(path, mode);
}

/* Its supervisor is not there: no checkpoint. */
static void cut(const struct conf *conf, int in_store)
{
	const struct cut requeued = { .cause = "requeue",
				      .after = CUT_REQUEUED };
	struct subject s = { .conf = conf,
			     .id = "7",
			     .lock_fd = -1,
			     .control_fd = -1,
			     .info = { .job_id = "7",
				       .slurm = 7,
				       .uid = getuid(),
				       .gid = getgid() } };
	struct cut_result result;
	struct err err = { 0 };

	snprintf(s.info.stdout_path, sizeof(s.info.stdout_path), "%s", output);
	put(output, "line\n", 0600);
	(void)unlink(aside);
	(void)unlink(started);
	noted[0] = '\0';
	newest = in_store;
	if (cut_job(&s, &requeued, &result, &err) == 0)
		diag("it was saved");
}

int main(void)
{
	struct conf conf = { .libexec = dir, .run_dir = dir, .node = dir };

	if (!mkdtemp(dir))
		return 1;
	snprintf(program, sizeof(program), "%s/jobcr-slurm", dir);
	snprintf(started, sizeof(started), "%s/start", dir);
	snprintf(output, sizeof(output), "%s/out", dir);
	snprintf(aside, sizeof(aside), "%s/.out.jobcr-7", dir);
	put(program, "#!/bin/sh\n: >\"${0%/*}/$1\"\n", 0700);

	cut(&conf, 3);
	ok(is_there(started) && is_there(aside) &&
		   strstr(noted, "from generation 3"),
	   "it starts again from its last snapshot: %s", noted);
	cut(&conf, -ENOENT);
	ok(!is_there(started) && is_there(output) && !is_there(aside),
	   "without one its start is Slurm's: %s", noted);
	cut(&conf, -ETIMEDOUT);
	ok(is_there(started) && !is_there(output) && is_there(aside) &&
		   !strstr(noted, "from generation"),
	   "a store that does not answer may have one: %s", noted);

	(void)unlink(program);
	(void)unlink(started);
	(void)unlink(aside);
	(void)unlink(output);
	ok(rmdir(dir) == 0, "nothing else is left");
	return done_testing();
}
