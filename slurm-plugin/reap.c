/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "wire/control.h"
#include "wire/saving.h"
#include "wire/shelter.h"

#define END_TIMEOUT_MS 5000

static int ask_info(int fd, struct control_reply *ret, struct err *err)
{
	struct control_request req = { .magic = CONTROL_MAGIC,
				       .op = CONTROL_INFO };

	return control_call(fd, &req, ret, NULL, err);
}

/*
 * The kernel takes the whole pid namespace down with its init, which is an
 * unreaped child of a supervisor that still names it: so the pidfd is init's.
 */
static int end_tree(int fd, struct err *err)
{
	struct pollfd gone = { .fd = fd, .events = POLLRDHUP };
	struct control_reply reply, again;
	auto_close int pidfd = -EBADF;
	int r = ask_info(fd, &reply, err);

	if (r < 0)
		return r;
	if (reply.info.init_pid > 1)
		pidfd = (int)syscall(SYS_pidfd_open, reply.info.init_pid, 0);
	/* One that has ended meanwhile has taken its init along. */
	if (pidfd >= 0 && ask_info(fd, &again, err) == 0 &&
	    again.info.init_pid == reply.info.init_pid)
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	do {
		r = poll(&gone, 1, END_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return err_set(err, -ETIMEDOUT,
			       "supervisor %d does not end after its tree",
			       reply.info.supervisor_pid);
	return 0;
}

static int remove_run_dir(const char *path, struct err *err)
{
	auto_closedir DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, "%s", path);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (rmdir(path) < 0 && errno != ENOENT)
		return err_sys(err, "%s: rmdir", path);
	return 0;
}

int reap_job(const char *run_dir, const char *job, unsigned int wait_s,
	     struct err *err)
{
	auto_close int fd = -EBADF;
	struct err no_peer;
	char path[4096];
	int r, waited;

	snprintf(path, sizeof(path), "%s/jobs/%s", run_dir, job);
	if (access(path, F_OK) < 0)
		return 0;
	waited = saving_await(run_dir, job, wait_s, err);
	/* A killed supervisor has taken its init, and so the tree, along. */
	if (control_connect(run_dir, job, &fd, &no_peer) == 0)
		r = end_tree(fd, err);
	else
		r = 0;
	/* Unless it was sheltered for a snapshot, which is over. */
	if (r == 0)
		r = shelter_end(run_dir, job, err);
	if (r == 0)
		r = remove_run_dir(path, err);
	return r < 0 ? r : waited;
}

/*
 * -ENOENT: it has ended.  A connection that is kept would tell as much, but a
 * supervisor that restores ends when it has none.
 */
static int open_supervisor(const char *run_dir, const char *job,
			   struct err *err)
{
	auto_close int fd = -EBADF, pidfd = -EBADF;
	struct pollfd gone = { .events = POLLRDHUP };
	struct err no_peer;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	/* One that Slurm has stopped is connected with all the same. */
	if (control_connect(run_dir, job, &fd, &no_peer) < 0)
		return -ENOENT;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(err, "supervisor");
	pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	if (pidfd < 0)
		return errno == ESRCH
			       ? -ENOENT
			       : err_sys(err, "supervisor %d", (int)peer.pid);
	/* Still there: so the number was its own. */
	gone.fd = fd;
	return poll(&gone, 1, 0) ? -ENOENT : take_fd(&pidfd);
}

int reap_await(const char *run_dir, const char *job, unsigned int wait_s,
	       struct err *err)
{
	auto_close int pidfd = open_supervisor(run_dir, job, err);
	struct pollfd ends = { .fd = pidfd, .events = POLLIN };
	int r;

	if (pidfd < 0 && pidfd != -ENOENT)
		return pidfd;
	do {
		r = pidfd < 0 ? 0 : poll(&ends, 1, -1);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "wait for the end of the job");
	return saving_await(run_dir, job, wait_s, err);
}
