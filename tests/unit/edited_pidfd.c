// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that have ended, which a restore makes again: a snapshot cannot
 * make it start any number of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/edited.h"
#include "../lib/tap.h"
#include "images/files.pb-c.h"
#include "images/tags.h"
#include "util/cleanup.h"

#define DEAD  40
#define FILES 64 /* for less than twice as many */

static int be_job(void)
{
	for (int i = 0; i < DEAD; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(i);
		if (syscall(SYS_pidfd_open, pid, 0) < 0 ||
		    waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	printf("up\n");
	fflush(stdout);
	for (;;)
		pause();
}

static ProtobufCMessage *one_more(pid_t pid, ProtobufCMessage *msg)
{
	static DeadProcessRecord more;

	(void)pid;
	dead_process_record__init(&more);
	more.object = ((const DeadProcessRecord *)msg)->object + 100000;
	return &more.base;
}

static void stopped(ProtobufCMessage *msg)
{
	((DeadProcessRecord *)msg)->status = 19; /* SIGSTOP */
}

static const struct edited_case cases[] = {
	{ "twice as many", TAG_DEAD_PROCESS, NULL, "LimitNOFILE",
	  .more = TAG_DEAD_PROCESS, .add = one_more },
	{ "an end that is none", TAG_DEAD_PROCESS, stopped,
	  "no process ends with" },
};

static void limit_files(void)
{
	const struct rlimit most = { FILES, FILES };

	(void)setrlimit(RLIMIT_NOFILE, &most);
}

int main(int argc, char **argv)
{
	const struct edited_test test = {
		.cases = cases,
		.count = ARRAY_SIZE(cases),
		.mode = 0777,
		.job = be_job,
		.prepare = limit_files,
	};

	return edited_main(argc, argv, &test);
}
