/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A socket's name is made by a child that is the user's, who may stop it: it
 * ends with the worker that waits for it.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/lib/tap.h"

#define USER  65534
#define TRIES 500

static int said; /* where a child says that it is the user's */

/* In the place of bind: as if it were stopped there. */
static int stop_there(int fd, const struct sockaddr *addr, socklen_t len);

#define bind stop_there
#include "src/resource/unix_bind.c"
#undef bind

static int stop_there(int fd, const struct sockaddr *addr, socklen_t len)
{
	const pid_t pid = getpid();

	(void)fd;
	(void)addr;
	(void)len;
	(void)!write(said, &pid, sizeof(pid));
	raise(SIGSTOP);
	return -1;
}

/* Does it end within a while?  It is ours when its parent is dead. */
static bool ends(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	for (int i = 0; i < TRIES; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static pid_t start(const char *dir, const UnixFile *file)
{
	const struct restore_owner owner = { .uid = USER, .gid = USER };
	const struct restore_ctx ctx = {
		.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.owner = &owner,
	};
	struct binding b = { .ctx = &ctx, .file = file, .len = sizeof(b.addr) };
	struct err err;
	int fd;
	pid_t pid = fork();

	if (pid)
		return pid;
	b.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(b.addr.sun_path, sizeof(b.addr.sun_path), "name");
	snprintf(b.directory, sizeof(b.directory), "%s", dir);
	_exit(run_child(&b, &fd, &err) < 0);
}

static void test(const char *dir, const UnixFile *file, const char *what)
{
	int pipe_fds[2];
	pid_t worker, child = 0;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	said = pipe_fds[1];
	worker = start(dir, file);
	close(pipe_fds[1]);
	ok(read(pipe_fds[0], &child, sizeof(child)) == sizeof(child),
	   "%s: it is there", what);
	close(pipe_fds[0]);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	if (!ok(child > 0 && ends(child), "%s: it ends with the worker",
		what) &&
	    child > 0)
		kill(child, SIGKILL);
}

int main(void)
{
	char dir[] = "/tmp/bind_child.XXXXXX";
	UnixFile file = UNIX_FILE__INIT;

	if (geteuid() != 0)
		skip_all("needs root");
	if (!mkdtemp(dir) || chown(dir, USER, USER) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		skip_all("no directory");
	alarm(60);
	file.mode = 0600;
	test(dir, &file, "the user's");
	test(dir, NULL, "one apart");
	rmdir(dir);
	return done_testing();
}
