// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/far_maps.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/maps.h"
#include "kernel/proc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

struct answer {
	int result;
	uint32_t count; /* of files that follow */
};

static bool matters(const struct far_maps *f, const struct vma *v, dev_t dev)
{
	/* Numbers of System V segments are their ids, of any namespace: the
	 * kernel counts who has them attached. */
	if (!v->inode || strncmp(v->path, "/SYSV", 5) == 0)
		return false;
	for (size_t i = 0; i < f->ndevices; i++)
		if (f->devices[i] == dev)
			return true;
	return false;
}

static int look(const struct far_maps *f, pid_t pid, struct far_file **ret,
		uint32_t *ret_count, struct err *err)
{
	auto_close int proc_fd = -EBADF;
	struct vma_list vmas = { 0 };
	struct far_file *files;
	uint32_t n = 0;
	int r;

	r = proc_open(pid, 0, &proc_fd, err);
	if (r == 0)
		r = maps_read_fast(proc_fd, &vmas, err);
	if (r < 0)
		return r;
	files = calloc(vmas.count + 1, sizeof(*files));
	for (size_t i = 0; files && i < vmas.count; i++) {
		const struct vma *v = &vmas.v[i];
		dev_t dev = makedev(v->dev_major, v->dev_minor);

		if (matters(f, v, dev))
			files[n++] = (struct far_file){ dev, v->inode };
	}
	maps_done(&vmas);
	*ret = files;
	*ret_count = n;
	return files ? 0 : -ENOMEM;
}

static void serve(const struct far_maps *f, int channel)
{
	struct err unused;
	pid_t pid;

	while (read_all(channel, &pid, sizeof(pid), &unused) == 0) {
		auto_free struct far_file *files = NULL;
		struct answer a = { 0 };

		a.result = look(f, pid, &files, &a.count, &unused);
		if (write_all(channel, &a, sizeof(a), &unused) < 0 ||
		    write_all(channel, files, a.count * sizeof(*files),
			      &unused) < 0)
			return;
	}
}

static void be_helper(const struct far_maps *f, int channel, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Descriptors of the job would stay open in it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    dup2(channel, 0) < 0 ||
	    syscall(SYS_close_range, 1u, UINT32_MAX, 0) < 0)
		_exit(1);
	serve(f, 0);
	_exit(0);
}

static int start(struct far_maps *f, struct err *err)
{
	pid_t self = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "who reads maps: socketpair");
	f->helper = fork();
	if (f->helper == 0)
		be_helper(f, ends[1], self);
	close(ends[1]);
	if (f->helper < 0) {
		close(ends[0]);
		f->helper = 0;
		return err_sys(err, "who reads maps: fork");
	}
	f->channel = ends[0];
	return 0;
}

static int receive(int channel, void *data, size_t len, uint64_t until,
		   struct err *err)
{
	for (size_t done = 0; done < len;) {
		uint64_t now = clock_monotonic_ns();
		struct pollfd p = { channel, POLLIN, 0 };
		ssize_t n;

		if (now >= until)
			return err_set(err, -ETIMEDOUT, "maps: no answer");
		n = poll(&p, 1, (int)((until - now) / 1000000 + 1));
		if (n == 0 || (n < 0 && errno == EINTR))
			continue;
		n = recv(channel, (char *)data + done, len - done, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, -EPIPE, "who reads maps has ended");
		done += (size_t)n;
	}
	return 0;
}

static int ask(struct far_maps *f, pid_t pid, uint64_t until,
	       struct far_file **ret, size_t *ret_count, struct err *err)
{
	auto_free struct far_file *files = NULL;
	struct answer a;
	int r;

	if (send(f->channel, &pid, sizeof(pid), MSG_NOSIGNAL) != sizeof(pid))
		return err_set(err, -EPIPE, "who reads maps has ended");
	r = receive(f->channel, &a, sizeof(a), until, err);
	if (r == 0) {
		files = calloc(a.count + 1ul, sizeof(*files));
		r = files ? receive(f->channel, files, a.count * sizeof(*files),
				    until, err)
			  : err_num(err, ENOMEM, "maps");
	}
	/* What it says of this process must not be taken for the next one. */
	if (r < 0)
		far_maps_done(f);
	else if (a.result < 0)
		r = err_num(err, a.result, "maps");
	if (r < 0)
		return r;
	*ret = take_ptr(files);
	*ret_count = a.count;
	return 0;
}

int far_maps_read(struct far_maps *f, pid_t pid, uint64_t limit_ns,
		  struct far_file **ret, size_t *ret_count, struct err *err)
{
	uint64_t until = clock_monotonic_ns() + limit_ns;
	bool old = f->helper != 0;
	int r = old ? 0 : start(f, err);

	if (r == 0)
		r = ask(f, pid, until, ret, ret_count, err);
	/* It ends with the thread that has started it. */
	if (r != -EPIPE || !old)
		return r;
	far_maps_done(f);
	r = start(f, err);
	return r < 0 ? r : ask(f, pid, until, ret, ret_count, err);
}

void far_maps_done(struct far_maps *f)
{
	if (!f->helper)
		return;
	close(f->channel);
	/* Who waits for all children (mourn.c) may have had it: then its number
	 * can be another's. */
	if (waitpid(f->helper, NULL, WNOHANG) == 0) {
		(void)kill(f->helper, SIGKILL);
		while (waitpid(f->helper, NULL, 0) < 0 && errno == EINTR)
			;
	}
	f->helper = 0;
}
