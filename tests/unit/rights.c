/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What whoever launches a restore has lost, the job has lost: none, one, all,
 * and what the kernel does not know.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "tests/lib/drive.h"
#include "tests/lib/sample.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define NOBODY  65534
#define ONE     (1ull << CAP_NET_RAW)
#define UNKNOWN (~0ull << 50)

enum { PERMITTED = 1, BOUNDING = 3 }; /* proc_status.caps */

static struct proc_status status_of(pid_t pid)
{
	auto_close int fd = -EBADF;
	struct proc_status st = { 0 };
	struct err err;

	if (proc_open(pid, 0, &fd, &err) < 0 ||
	    proc_read_status(fd, &st, &err) < 0)
		diag("%s", err.text);
	proc_status_done(&st);
	return st;
}

static bool save(const struct drive_place *place, const char *dir)
{
	struct drive_outcome *out = calloc(1, sizeof(*out));
	char *argv[] = { (char *)"/bin/sleep", (char *)"1000", NULL };
	char *envp[] = { NULL };
	struct drive_job *job = NULL;
	struct err err = { 0 };
	int r = drive_start(place, argv, envp, &job, &err);

	r = r < 0 ? r : drive_checkpoint(job, dir, true, out);
	ok(r == 0, "a job of uid %u is saved", place->uid);
	if (r < 0)
		diag("%s%s", err.text, out->err.text);
	drive_end(job);
	free(out);
	return r == 0;
}

/* What its first process has then; or why there is none. */
static int restore(const struct drive_place *place, const char *dir,
		   uint64_t dropped, bool no_more, struct proc_status *ret,
		   char why[ERR_TEXT_SIZE])
{
	struct drive_outcome *out = calloc(1, sizeof(*out));
	struct drive_job *job = NULL;
	int r;

	drive_launcher(dropped, no_more);
	r = drive_restore(place, dir, &job, out);
	if (r == 0)
		*ret = status_of(drive_root_pid(job));
	snprintf(why, ERR_TEXT_SIZE, "%s", r < 0 ? out->err.text : "");
	drive_end(job);
	free(out);
	return r;
}

/* Programs that it executes could get them. */
static void test_user(const char *dir)
{
	static const uint64_t dropped[] = { 0, UNKNOWN, ONE, ~0ull };
	const struct drive_place place = { .uid = NOBODY, .gid = NOBODY };
	const uint64_t own = status_of(getpid()).caps[BOUNDING];
	char to[128], why[ERR_TEXT_SIZE];
	struct proc_status st = { 0 };
	int r;

	snprintf(to, sizeof(to), "%s/user", dir);
	if (!save(&place, to))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++) {
		r = restore(&place, to, dropped[i], false, &st, why);
		ok(r == 0 && st.caps[BOUNDING] == (own & ~dropped[i]) &&
			   !st.no_new_privs,
		   "without %#llx it has the rest: %s",
		   (unsigned long long)dropped[i], why);
	}
	r = restore(&place, to, ~0ull, true, &st, why);
	ok(r == 0 && !st.caps[BOUNDING] && st.no_new_privs,
	   "nor may there be any: %s", why);
}

/* It has them. */
static void test_root(const char *dir)
{
	const struct drive_place place = { .uid = 0 };
	const struct proc_status own = status_of(getpid());
	char to[128], why[ERR_TEXT_SIZE];
	struct proc_status st = { 0 };
	int r;

	snprintf(to, sizeof(to), "%s/root", dir);
	if (!save(&place, to))
		return;
	r = restore(&place, to, UNKNOWN, false, &st, why);
	ok(r == 0 && st.caps[BOUNDING] == own.caps[BOUNDING] &&
		   st.caps[PERMITTED] == own.caps[PERMITTED],
	   "root's has all that the kernel knows: %s", why);
	r = restore(&place, to, 0, true, &st, why);
	ok(r == 0 && st.caps[PERMITTED] == own.caps[PERMITTED] &&
		   st.no_new_privs,
	   "and no more: %s", why);
	r = restore(&place, to, ONE, false, &st, why);
	ok(r == -EPERM && strstr(why, "0x2000 "),
	   "one that it had is missed: %s", why);
	r = restore(&place, to, ~0ull, false, &st, why);
	ok(r == -EPERM, "and so are all: %s", why);
}

static void find_puppet(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	for (int up = 0; up < 3 && strrchr(path, '/'); up++)
		*strrchr(path, '/') = '\0';
	setenv("JOBCR_LIBEXEC", path, 0);
}

int main(void)
{
	char dir[64];
	int fd;

	if (geteuid() != 0)
		skip_all("checkpoints need root");
	if (!(status_of(getpid()).caps[PERMITTED] & ONE))
		skip_all("CAP_NET_RAW is not ours to lose");
	find_puppet();
	fd = temp_dir(dir);
	test_user(dir);
	test_root(dir);
	close(fd);
	temp_dir_remove(dir);
	return done_testing();
}
