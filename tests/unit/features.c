/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/features.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

static int error_of(const struct feature_result *list, size_t n,
		    const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].feature.name, name))
			return list[i].error;
	return -1;
}

/* Without rights the probes must say so: they really do it. */
static void test_unprivileged(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		auto_free struct feature_result *list = NULL;
		struct err err;
		size_t n = 0;

		if (setresgid(65534, 65534, 65534) < 0 ||
		    setresuid(65534, 65534, 65534) < 0 ||
		    features_probe(&list, &n, &err) < 0)
			_exit(1);
		_exit(error_of(list, n, "pid-namespaces") == EPERM &&
				      error_of(list, n, "time-namespaces") ==
					      EPERM &&
				      error_of(list, n, "children") == 0
			      ? 0
			      : 2);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "an ordinary user is told what is not permitted");
}

int main(void)
{
	auto_free struct feature_result *list = NULL;
	struct err err;
	size_t n = 0;

	if (geteuid() != 0)
		skip_all("probing features needs root");
	ok(features_probe(&list, &n, &err) == 0 && n > 10,
	   "all features are probed");
	for (size_t i = 0; i < n; i++) {
		const struct feature *f = &list[i].feature;

		if (list[i].error)
			diag("%s: %s; needs %s", f->name,
			     strerror(list[i].error), f->remedy);
		else
			diag("%s: yes", f->name);
	}
	ok(error_of(list, n, "pagemap") == 0 &&
		   error_of(list, n, "children") == 0 &&
		   error_of(list, n, "ptrace") == 0,
	   "what every kernel that builds jobcr has is found");
	ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD,
	   "no probe leaves a process behind");
	test_unprivileged();
	return done_testing();
}
