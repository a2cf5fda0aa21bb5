/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters of system calls that a job was born with, as all are whose slurmd
 * runs under them: they belong to the node, and no image brings them along.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/drive.h"
#include "../lib/fail_call.h"
#include "../lib/sample.h"
#include "../lib/tap.h"
#include "kernel/proc.h"
#include "util/cleanup.h"

#define USER 65534

/* As one with CAP_SYS_ADMIN may: without no_new_privs. */
static void without_call(uint32_t nr)
{
	if (!fail_call(nr, EPERM))
		_exit(1);
}

static void without_ptrace(void)
{
	without_call(SYS_ptrace);
}

static void without_reboot(void)
{
	without_call(SYS_reboot);
}

/* What the building of a job makes itself. */
static void without_more(void)
{
	without_call(SYS_ptrace);
	without_call(SYS_mprotect);
	without_call(SYS_mremap);
}

static struct drive_place place_with(void (*prepare)(void))
{
	return (struct drive_place){
		.uid = USER, .gid = USER, .cwd = "/", .prepare = prepare
	};
}

static int save(void (*prepare)(void), const char *dir, struct drive_outcome *o)
{
	const struct drive_place place = place_with(prepare);
	char *argv[] = { (char *)"/bin/sleep", (char *)"1000", NULL };
	char *envp[] = { NULL };
	struct drive_job *job = NULL;
	int r = drive_start(&place, argv, envp, &job, &o->err);

	if (r == 0) {
		/* Until it is what it is to be: no more the test's child. */
		usleep(200000);
		r = drive_checkpoint(job, dir, true, o);
	}
	drive_end(job);
	return r;
}

/* How many filters it has then. */
static int restore(void (*prepare)(void), const char *dir,
		   struct drive_outcome *o)
{
	const struct drive_place place = place_with(prepare);
	struct proc_status st = { 0 };
	auto_close int proc_fd = -EBADF;
	struct drive_job *job = NULL;
	int r = drive_restore(&place, dir, &job, o);

	r = r < 0 ? r : proc_open(drive_root_pid(job), 0, &proc_fd, &o->err);
	r = r < 0 ? r : proc_read_status(proc_fd, &st, &o->err);
	r = r < 0 ? r : (int)st.seccomp_filters;
	proc_status_done(&st);
	drive_end(job);
	return r;
}

static void test_filtered(const char *dir, struct drive_outcome *o)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/filtered", dir);
	if (!ok(save(without_ptrace, path, o) == 0,
		"a user's job that was born with a filter is saved: %s",
		o->err.text))
		return;
	ok(restore(without_ptrace, path, o) == 1,
	   "where there is the same it is not installed again: %s",
	   o->err.text);
	ok(restore(without_more, path, o) == 3,
	   "where there are more the job has more: %s", o->err.text);
	ok(restore(NULL, path, o) < 0 &&
		   strstr(o->err.text, "only root can install"),
	   "where there is none it is refused: %s", o->err.text);
	ok(restore(without_reboot, path, o) < 0 &&
		   strstr(o->err.text, "only root can install"),
	   "where there is another, too: %s", o->err.text);
}

static void test_free(const char *dir, struct drive_outcome *o)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/free", dir);
	ok(save(NULL, path, o) == 0, "a job without filters is saved: %s",
	   o->err.text);
	ok(restore(without_more, path, o) == 3,
	   "where there are some the job has them: %s", o->err.text);
}

/* All of it in a child that is under a filter itself. */
static bool under_filter(const char *dir)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct drive_outcome *o = calloc(1, sizeof(*o));
		char path[100];
		bool named = false;

		snprintf(path, sizeof(path), "%s/under", dir);
		without_call(SYS_reboot);
		save(NULL, path, o);
		for (size_t i = 0; i < o->refused && i < 16; i++)
			named |= strstr(o->finding[i], "jobcr itself") != NULL;
		_exit(!named);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

int main(void)
{
	struct drive_outcome *o = calloc(1, sizeof(*o));
	auto_close int dir_fd = -EBADF;
	char dir[64];

	if (geteuid() != 0 || !o)
		skip_all("needs root");
	dir_fd = temp_dir(dir);
	if (chmod(dir, 0755) < 0)
		return 1;
	test_filtered(dir, o);
	test_free(dir, o);
	ok(under_filter(dir),
	   "who is under a filter may not see others': refused by name");
	temp_dir_remove(dir);
	free(o);
	return done_testing();
}
