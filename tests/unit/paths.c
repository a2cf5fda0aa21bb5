/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths that others give, or rename meanwhile. */
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "util/clock.h"

#define PATH "a/b/../../a/b/../../a/b/../../a/b"

static void rename_forever(int dir)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		(void)renameat(dir, "x", dir, "y");
		(void)renameat(dir, "y", dir, "x");
	}
}

static int once(int dir)
{
	const struct open_how how = { .flags = O_PATH,
				      .resolve = RESOLVE_IN_ROOT };

	return (int)syscall(SYS_openat2, dir, PATH, &how, sizeof(how));
}

/* How often it fails by itself; the same with ours. */
static void test(int dir, uint64_t until)
{
	int alone = 0, ours = 0;

	while (clock_monotonic_ns() < until && alone < 1000) {
		int fd = once(dir);

		alone += fd < 0 && errno == EAGAIN;
		close(fd);
		fd = open_in_root(dir, PATH, O_PATH, 0, 0);
		ours += fd < 0;
		close(fd);
	}
	if (!alone)
		skip("no rename came between");
	ok(ours == 0, "no path is missed (%d were, of %d)", ours, alone);
}

/* Only by names, and made in what they lead to. */
static void test_named(int dir, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/a", dir);
	ok(open_named_dir(path, O_PATH) < 0 && errno == ELOOP,
	   "a descriptor is no way to a directory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/new", dir);
	ok(make_named_dir(path, O_RDONLY, 0700) < 0 && errno == ELOOP &&
		   faccessat(dir, "new", F_OK, 0) < 0,
	   "nor one to make one");
	snprintf(path, sizeof(path), "%s/a/b/../new//", name);
	fd = make_named_dir(path, O_RDONLY, 0700);
	ok(fd >= 0 && unlinkat(dir, "a/new", AT_REMOVEDIR) == 0,
	   "by its name it is made");
	close(fd);
	fd = make_named_dir("a", O_RDONLY, 0700);
	ok(fd >= 0, "or found");
	close(fd);
	fd = make_named_dir("new", O_RDONLY, 0700);
	ok(fd >= 0 && unlinkat(dir, "new", AT_REMOVEDIR) == 0,
	   "or made where we are");
	close(fd);
}

int main(void)
{
	char name[] = "/tmp/paths.XXXXXX";
	int dir;
	pid_t pid;

	if (!mkdtemp(name) || (dir = open(name, O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    fchdir(dir) < 0 || mkdirat(dir, "a", 0755) < 0 ||
	    mkdirat(dir, "a/b", 0755) < 0 || mkdirat(dir, "x", 0755) < 0)
		skip_all("no directory");
	pid = fork();
	if (pid == 0)
		rename_forever(dir);
	test(dir, clock_monotonic_ns() + 2 * NSEC_PER_SEC);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	(void)unlinkat(dir, "x", AT_REMOVEDIR);
	(void)unlinkat(dir, "y", AT_REMOVEDIR);
	ok(open_in_root(dir, "../etc/passwd", O_RDONLY, 0, 0) < 0 &&
		   errno == ENOENT,
	   "nothing above is found");
	test_named(dir, name);
	(void)unlinkat(dir, "a/b", AT_REMOVEDIR);
	(void)unlinkat(dir, "a", AT_REMOVEDIR);
	rmdir(name);
	return done_testing();
}
