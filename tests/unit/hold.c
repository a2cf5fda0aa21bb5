/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job is to be held, and slurmctld does not do it: a program of the test's
 * own answers for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/subject.h"
#include "tests/lib/tap.h"

static char dir[] = "/tmp/jobcr-hold.XXXXXX";
static char program[64], asked[64];

/* Each question leaves a letter in a file. */
static void slurm_ends_with(int status)
{
	FILE *f = fopen(program, "w");

	if (!f)
		exit(1);
	fprintf(f, "#!/bin/sh\nprintf q >>%s\nexit %d\n", asked, status);
	fclose(f);
	chmod(program, 0755);
}

static bool was_asked_once(void)
{
	struct stat st;

	return stat(asked, &st) == 0 && st.st_size == 1 && unlink(asked) == 0;
}

int main(void)
{
	struct conf conf = { .libexec = dir };
	struct subject s = { .conf = &conf,
			     .id = "7",
			     .info = { .job_id = "7", .slurm = 7 } };

	if (!mkdtemp(dir))
		return 1;
	snprintf(program, sizeof(program), "%s/jobcr-slurm", dir);
	snprintf(asked, sizeof(asked), "%s/asked", dir);
	slurm_ends_with(66);
	ok(subject_hold(&s, "why") == -ENOENT && was_asked_once(),
	   "a job that Slurm has forgotten is not asked for again");
	slurm_ends_with(77);
	ok(subject_hold(&s, "why") == -ECANCELED && was_asked_once(),
	   "nor is one that was cancelled: it may be gone the next time");
	slurm_ends_with(0);
	ok(subject_hold(&s, "why") == 0 && was_asked_once(), "else it is held");
	(void)unlink(program);
	(void)rmdir(dir);
	return done_testing();
}
