/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The environment of a job is kept, and never that of another process; a store
 * that hangs does not hold the job's supervisor.
 */
#include "daemon/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/hanging.h"
#include "tests/lib/tap.h"
#include "util/cleanup.h"

#define PATIENCE_MS 10000

static const struct user_id root;
static char dir[] = "/tmp/kept.XXXXXX";
static const struct conf conf = { .libexec = dir, .run_dir = dir };

static int listen_as_supervisor(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX,
				  .sun_path = "jobs/7/control" };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)unlink(at.sun_path);
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
			       listen(fd, 8) == 0
		       ? fd
		       : -1;
}

/*
 * A supervisor that names this process as the job's.  *ret_fd: readable when a
 * client of it has left.
 */
static pid_t supervisor(pid_t named, int *ret_fd)
{
	struct control_reply reply = { .magic = CONTROL_MAGIC,
				       .info.root_pid = named };
	struct control_request req;
	int ends[2], sock = listen_as_supervisor();
	pid_t pid;

	if (sock < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int fd = accept(sock, NULL, NULL);

			while (recv(fd, &req, sizeof(req), 0) == sizeof(req))
				(void)!send(fd, &reply, sizeof(reply), 0);
			close(fd);
			(void)!write(ends[1], "", 1);
		}
	}
	close(sock);
	close(ends[1]);
	*ret_fd = ends[0];
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* job: its first process, for which ours is taken. */
static int write_it(int dir_fd, pid_t job, struct err *err)
{
	struct subject s = { .conf = &conf, .id = "7", .control_fd = -1 };

	s.info.slurm = 7;
	s.info.root_pid = job;
	return kept_write(&s, &root, dir_fd, err);
}

/* Its supervisor says: named. */
static int keep(int dir_fd, pid_t named, struct err *err)
{
	auto_close int left = -EBADF;
	pid_t pid = supervisor(named, &left);
	int r = write_it(dir_fd, getpid(), err);

	end(pid);
	return r;
}

static void test_hanging(void)
{
	auto_close int fuse = -EBADF, at = -EBADF, left = -EBADF;
	struct pollfd p = { .events = POLLIN };
	pid_t pid, writer;

	if (mount_hanging("hangs", &fuse) < 0) {
		skip("no FUSE here: %s", strerror(errno));
		return;
	}
	at = open("hangs", O_PATH | O_DIRECTORY | O_CLOEXEC);
	pid = supervisor(getpid(), &left);
	writer = fork();
	if (writer == 0) {
		struct err err;

		_exit(write_it(at, getppid(), &err) < 0);
	}
	p.fd = left;
	ok(poll(&p, 1, PATIENCE_MS) == 1 && waitpid(writer, NULL, WNOHANG) == 0,
	   "a store that hangs does not hold the supervisor");
	end(writer);
	end(pid);
	close(take_fd(&fuse));
	(void)umount2("hangs", MNT_DETACH);
}

static bool prepare(void)
{
	FILE *f;

	if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("jobs", 0700) < 0 ||
	    mkdir("jobs/7", 0700) < 0 || mkdir("hangs", 0700) < 0 ||
	    !(f = fopen("jobcr-slurm", "we")))
		return false;
	fprintf(f, "#!/bin/sh\necho a=b\n");
	fclose(f);
	return chmod("jobcr-slurm", 0755) == 0;
}

int main(void)
{
	auto_close int fd = -EBADF;
	struct err err = { 0 };

	if (geteuid() != 0)
		skip_all("needs root");
	if (!prepare() || (fd = open(dir, O_DIRECTORY | O_CLOEXEC)) < 0)
		skip_all("no directory");
	ok(keep(fd, 0, &err) < 0 && access(SUBMIT_ENV_FILE, F_OK) < 0,
	   "of a process that is not the job's any more nothing is kept: %s",
	   err.text);
	err.text[0] = '\0';
	ok(keep(fd, getpid(), &err) == 0 && access(SUBMIT_ENV_FILE, F_OK) == 0,
	   "the job's environment is: %s", err.text);
	test_hanging();
	(void)unlink(SUBMIT_ENV_FILE);
	(void)unlink(SUBMIT_FILE);
	(void)unlink("jobcr-slurm");
	(void)unlink("jobs/7/control");
	(void)rmdir("jobs/7");
	(void)rmdir("jobs");
	(void)rmdir("hangs");
	rmdir(dir);
	return done_testing();
}
