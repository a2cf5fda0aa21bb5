/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Current directory with an ugly name, one that was deleted, and umask. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/victim.h"

static const char ugly[] = "a b\n\\012 \"\xff\xfe' (deleted)";

static mode_t get_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

static int in_deleted(void)
{
	char here[4096];
	bool good;

	umask(022);
	victim_need(mkdir("gone", 0700) == 0 && chdir("gone") == 0 &&
			    rmdir("../gone") == 0,
		    "deleted directory");
	umask(0777);
	victim_wait_go();
	good = victim_check(!getcwd(here, sizeof(here)) && errno == ENOENT,
			    "the deleted directory has a name");
	good &= victim_check(open("x", O_CREAT | O_WRONLY, 0600) < 0 &&
				     errno == ENOENT,
			     "the deleted directory takes files");
	good &= victim_check(get_umask() == 0777, "umask 0777");
	return good ? 0 : 1;
}

int main(void)
{
	char before[4096], after[4096];
	struct stat a, b;
	pid_t child;
	int status;

	victim_need(mkdir(ugly, 0711) == 0 && chdir(ugly) == 0, "mkdir");
	umask(0137);
	victim_need(getcwd(before, sizeof(before)) && stat(".", &a) == 0,
		    "getcwd");
	child = fork();
	if (child == 0)
		_exit(chdir("..") < 0 ? 9 : in_deleted());
	victim_nap(20000000);
	victim_wait();
	victim_check(getcwd(after, sizeof(after)) && !strcmp(before, after),
		     "directory became %s", after);
	victim_check(stat(".", &b) == 0 && a.st_ino == b.st_ino,
		     "it is another directory");
	victim_check(get_umask() == 0137, "umask %o", get_umask());
	victim_check(waitpid(child, &status, 0) == child && status == 0,
		     "child: %#x", (unsigned int)status);
	victim_verdict(true, "current directory and umask are the same");
}
