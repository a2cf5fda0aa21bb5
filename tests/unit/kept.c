/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The environment of a job is kept, and never that of another process. */
#include "daemon/kept.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "util/cleanup.h"

static const struct user_id root;
static char dir[] = "/tmp/kept.XXXXXX";

/* A supervisor that names this process as the job's. */
static pid_t supervisor(pid_t named, int *ret_fd)
{
	struct control_reply reply = { .magic = CONTROL_MAGIC,
				       .info.root_pid = named };
	struct control_request req;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (recv(ends[1], &req, sizeof(req), 0) == sizeof(req))
			(void)!send(ends[1], &reply, sizeof(reply), 0);
		_exit(0);
	}
	close(ends[1]);
	*ret_fd = ends[0];
	return pid;
}

/* The job is taken for this process; so its supervisor says: named. */
static int keep(int dir_fd, pid_t named, struct err *err)
{
	const struct conf conf = { .libexec = dir };
	struct subject s = { .conf = &conf, .id = "7" };
	pid_t pid = supervisor(named, &s.control_fd);
	int r;

	s.info.slurm = 7;
	s.info.root_pid = getpid();
	r = kept_write(&s, &root, dir_fd, err);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(s.control_fd);
	return r;
}

int main(void)
{
	struct err err = { 0 };
	FILE *f;
	int fd;

	if (geteuid() != 0)
		skip_all("needs root");
	if (!mkdtemp(dir) || (fd = open(dir, O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    chdir(dir) < 0 || !(f = fopen("jobcr-slurm", "we")))
		skip_all("no directory");
	fprintf(f, "#!/bin/sh\necho a=b\n");
	fclose(f);
	chmod("jobcr-slurm", 0755);
	ok(keep(fd, 0, &err) < 0 && access(SUBMIT_ENV_FILE, F_OK) < 0,
	   "of a process that is not the job's any more nothing is kept: %s",
	   err.text);
	err.text[0] = '\0';
	ok(keep(fd, getpid(), &err) == 0 && access(SUBMIT_ENV_FILE, F_OK) == 0,
	   "the job's environment is: %s", err.text);
	(void)unlink(SUBMIT_ENV_FILE);
	(void)unlink(SUBMIT_FILE);
	(void)unlink("jobcr-slurm");
	rmdir(dir);
	return done_testing();
}
